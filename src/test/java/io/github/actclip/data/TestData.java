package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.function.Executable;

/** Makes small files of both formats. */
public final class TestData {

  static final int CIFAR_RECORD = 3073;

  private TestData() {}

  /** The first of the embedded test images, for trainings that are short and many. */
  public static ImageDataset first(int count) {
    return new ImageDataset(
        ImageDataset.EMBEDDED,
        "the first test images",
        PixelFormat.GREY_28,
        embedded("t10k-images-idx3-ubyte.gz", 16, count * 784),
        embedded("t10k-labels-idx1-ubyte.gz", 8, count));
  }

  private static byte[] embedded(String file, int header, int length) {
    try (InputStream in =
        new GZIPInputStream(ImageDataset.class.getResourceAsStream("fashion-mnist/" + file))) {
      in.skipNBytes(header);
      return in.readNBytes(length);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Grey images; pixel p of image i is (31 i + p) mod 256, labels are i mod 10. */
  public static ImageDataset grey(int count) {
    byte[] pixels = new byte[count * 784];
    byte[] labels = new byte[count];
    for (int i = 0; i < count; i++) {
      labels[i] = (byte) (i % 10);
      for (int p = 0; p < 784; p++) {
        pixels[i * 784 + p] = (byte) greyPixel(i, p);
      }
    }
    return new ImageDataset("nowhere", "test", PixelFormat.GREY_28, pixels, labels);
  }

  static int greyPixel(int image, int pixel) {
    return (31 * image + pixel) & 0xff;
  }

  /** An IDX file: the magic number, the dimensions, the content. */
  static byte[] idx(int magic, int[] dimensions, byte... content) {
    ByteBuffer file = ByteBuffer.allocate(4 + 4 * dimensions.length + content.length);
    file.putInt(magic);
    for (int dimension : dimensions) {
      file.putInt(dimension);
    }
    return file.put(content).array();
  }

  static byte[] idxImages(int count, byte... content) {
    return idx(0x0803, new int[] {count, 28, 28}, content);
  }

  static byte[] idxLabels(byte... labels) {
    return idx(0x0801, new int[] {labels.length}, labels);
  }

  /** A record whose planes are each of one value. */
  static byte[] cifarRecord(int label, int red, int green, int blue) {
    byte[] record = new byte[CIFAR_RECORD];
    record[0] = (byte) label;
    for (int i = 0; i < 1024; i++) {
      record[1 + i] = (byte) red;
      record[1 + 1024 + i] = (byte) green;
      record[1 + 2048 + i] = (byte) blue;
    }
    return record;
  }

  static byte[] gzip(byte[] content) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  static void write(Path folder, String name, byte[] content) throws IOException {
    Files.createDirectories(folder);
    Files.write(folder.resolve(name), content);
  }

  static float[] decode(ImageDataset dataset, int index) {
    float[] out = new float[PixelFormat.VALUES];
    dataset.decode(index, out);
    return out;
  }

  /** All values in the order of their indices of float32. */
  static float[] floats(Tensor tensor) {
    float[] values = new float[(int) tensor.numel()];
    TensorScope.run(() -> tensor.contiguous().<FloatBuffer>createBuffer().get(values));
    return values;
  }

  static long[] longs(Tensor tensor) {
    long[] values = new long[(int) tensor.numel()];
    TensorScope.run(() -> tensor.contiguous().<LongBuffer>createBuffer().get(values));
    return values;
  }

  /** Checks that the message is one line that has all the parts. */
  static void assertBadInput(Executable call, Object... parts) {
    ActclipException e = assertThrows(ActclipException.class, call);
    assertTrue(e.isBadInput());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    for (Object part : parts) {
      assertTrue(e.getMessage().contains(part.toString()), () -> e.getMessage() + " lacks " + part);
    }
  }
}
