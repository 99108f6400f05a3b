package io.github.actclip.data;

import java.nio.file.Path;
import java.util.Random;
import java.util.function.DoubleSupplier;

/**
 * A part of an image by chance, which is then resized to a square: torchvision's {@code
 * RandomResizedCrop}, with antialiasing.
 *
 * @param size pixels of a side
 * @param seed of the chance
 */
record RandomCrop(int size, long seed) implements Frame {

  private static final double LEAST_AREA = 0.08;
  private static final double WIDEST = 4.0 / 3;
  private static final int TRIES = 10;

  /** A part of an image. */
  record Box(int top, int left, int height, int width) {

    /**
     * One of which the area is evenly between 8 % of the image's and all of it, and the logarithm
     * of the ratio of the sides evenly between those of 3/4 and 4/3; at a place of which each is
     * equally likely. In the middle, and as large as it can be, where ten of these do not fit in.
     *
     * @param random evenly from 0 to below 1
     */
    static Box random(int rows, int columns, DoubleSupplier random) {
      for (int i = 0; i < TRIES; i++) {
        double area = LEAST_AREA + (1 - LEAST_AREA) * random.getAsDouble();
        double ratio = StrictMath.pow(WIDEST, 2 * random.getAsDouble() - 1);
        int width = rounded(Math.sqrt(area * rows * columns * ratio));
        int height = rounded(Math.sqrt(area * rows * columns / ratio));
        if (0 < width && width <= columns && 0 < height && height <= rows) {
          int top = (int) (random.getAsDouble() * (rows - height + 1));
          int left = (int) (random.getAsDouble() * (columns - width + 1));
          return new Box(top, left, height, width);
        }
      }
      int height = Math.min(rows, rounded(columns * WIDEST));
      int width = Math.min(columns, rounded(rows * WIDEST));
      return new Box((rows - height) / 2, (columns - width) / 2, height, width);
    }

    /** As Python rounds. */
    private static int rounded(double value) {
      return (int) Math.rint(value);
    }

    /** Of the image with rows and columns exchanged. */
    Box transposed() {
      return new Box(left, top, width, height);
    }
  }

  @Override
  public FramedImage of(Path file, RgbRows image, Orientation orientation) {
    boolean transposed = orientation.transposed();
    int rows = transposed ? image.columns() : image.rows();
    int columns = transposed ? image.rows() : image.columns();
    Box seen = Box.random(rows, columns, new Random(seed)::nextDouble);
    return of(file, image, orientation, seen);
  }

  /** Resizes a part that was chosen of the upright image. */
  FramedImage of(Path file, RgbRows image, Orientation orientation, Box seen) {
    Box box = orientation.transposed() ? seen.transposed() : seen;
    int below = image.rows() - box.height() - box.top();
    int beyond = image.columns() - box.width() - box.left();
    return FramedImage.of(
        file,
        image,
        orientation,
        axis(orientation.mirroredRows() ? below : box.top(), box.height()),
        axis(orientation.mirroredColumns() ? beyond : box.left(), box.width()));
  }

  private Resampling axis(int begin, int length) {
    return Resampling.of(length, size, 0, size).after(begin);
  }
}
