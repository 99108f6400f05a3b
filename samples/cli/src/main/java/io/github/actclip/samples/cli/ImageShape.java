package io.github.actclip.samples.cli;

import io.github.actclip.data.Batch;
import io.github.actclip.data.Dataset;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;

/**
 * What all images of a data set are like.
 *
 * @param size height and width in pixels
 */
record ImageShape(int channels, int size) {

  /** As the first image says. */
  static ImageShape of(Dataset images) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch first = images.batch(0);
      return new ImageShape((int) first.data().size(1), (int) first.data().size(2));
    }
  }

  /** Refuses images of another size. */
  static void require(int size, Dataset images) {
    int given = of(images).size();
    if (given != size) {
      throw ActclipException.badInput(
          "The images of %s are %d×%d and cannot be %d×%d: only those in a folder for each class are"
              + " resized",
          images.source(), given, given, size, size);
    }
  }
}
