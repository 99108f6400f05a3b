package io.github.actclip.samples.cli;

import io.github.actclip.data.ImageDataset;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;

/** A quarter of the embedded images, so that a batch of a quarter gives as many steps sooner. */
final class FewImages {

  private static final int TRAIN = 2_000;
  private static final int TEST = 500;

  private FewImages() {}

  /** Writes them into the folder, for {@code --data}. */
  static void write(Path folder) throws IOException {
    copy(folder, "train-images-idx3-ubyte", 16, 784, TRAIN);
    copy(folder, "train-labels-idx1-ubyte", 8, 1, TRAIN);
    copy(folder, "t10k-images-idx3-ubyte", 16, 784, TEST);
    copy(folder, "t10k-labels-idx1-ubyte", 8, 1, TEST);
  }

  private static void copy(Path folder, String name, int header, int bytes, int count)
      throws IOException {
    try (InputStream in =
        new GZIPInputStream(
            ImageDataset.class.getResourceAsStream("fashion-mnist/" + name + ".gz"))) {
      byte[] content = in.readNBytes(header + bytes * count);
      ByteBuffer.wrap(content).putInt(4, count);
      Files.write(folder.resolve(name), content);
    }
  }
}
