package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What is seen of an image.
 *
 * @param file where it is from
 * @param pixels rows × columns × channels, from 0 to 1; nobody changes them
 */
record FramedImage(Path file, int rows, int columns, float[] pixels) {

  /** Decodes a file; see {@link ImageFile#read}, {@link RgbRows} and {@link Frame#of}. */
  static FramedImage read(Path file, Frame frame) {
    return read(file, ImageFile.MAX_PIXELS, frame);
  }

  /** Likewise, of at most so many pixels. */
  static FramedImage read(Path file, long mostPixels, Frame frame) {
    RgbRows image = new RgbRows(file, ImageFile.read(file, mostPixels));
    try {
      return frame.of(file, image, Orientation.of(file));
    } catch (IOException e) {
      throw ActclipException.badInput(
          "%s cannot be read: %s", DataFolder.shown(file), e.getMessage());
    }
  }

  /** Decodes the content of a file; see {@link ImageFile#read(byte[], long)}. */
  static FramedImage read(byte[] content, long mostPixels, Frame frame) {
    RgbRows image = new RgbRows(ImageFile.UNNAMED, ImageFile.read(content, mostPixels));
    try {
      return frame.of(ImageFile.UNNAMED, image, Orientation.of(new ByteArrayInputStream(content)));
    } catch (IOException e) {
      throw new UncheckedIOException(e); // No array fails to be read.
    }
  }

  /** Frames an image that was decoded and is upright. */
  static FramedImage of(BufferedImage image, Frame frame) {
    return frame.of(ImageFile.UNNAMED, new RgbRows(ImageFile.UNNAMED, image), Orientation.UPRIGHT);
  }

  /**
   * Resamples an image, and turns it upright.
   *
   * @param rows how those that are seen are made of the image's, as they lie in the file
   * @param columns likewise
   */
  static FramedImage of(
      Path file, RgbRows image, Orientation orientation, Resampling rows, Resampling columns) {
    float[] pixels = columns.columns(rows(rows, columns, image), rows.length());
    image.scale(pixels);
    boolean transposed = orientation.transposed();
    return new FramedImage(
        file,
        transposed ? columns.length() : rows.length(),
        transposed ? rows.length() : columns.length(),
        orientation.turn(pixels, rows.length(), columns.length()));
  }

  /** First, since rows are added fast, and then there are fewer; of the columns that are used. */
  private static float[] rows(Resampling rows, Resampling columns, RgbRows image) {
    float[] row = new float[(columns.end() - columns.begin()) * RgbRows.CHANNELS];
    float[] made = new float[rows.length() * row.length];
    for (int y = rows.begin(); y < rows.end(); y++) {
      image.read(columns.begin(), y, row);
      rows.addRow(y, row, made);
    }
    return made;
  }

  /**
   * Makes a batch of images of one size.
   *
   * @param name of the data set, for the message
   * @return float32 (B, 3, H, W) in channels-last memory format; the open scope's
   */
  static Tensor stack(String name, List<FramedImage> images) {
    FramedImage first = images.get(0);
    images.forEach(first::requireSameSize);
    long values = (long) images.size() * first.pixels.length;
    if (values > Integer.MAX_VALUE / Float.BYTES) {
      throw ActclipException.badInput(
          "A batch of %s would have %d values, more than 2 GiB: make it smaller, or resize",
          name, values);
    }
    Tensor data =
        torch.empty(
            new long[] {images.size(), RgbRows.CHANNELS, first.rows, first.columns},
            new TensorOptions(ScalarType.Float),
            new MemoryFormatOptional(MemoryFormat.ChannelsLast));
    FloatBuffer buffer = data.permute(0, 2, 3, 1).createBuffer();
    images.forEach(image -> buffer.put(image.pixels));
    return data;
  }

  private void requireSameSize(FramedImage other) {
    if (rows != other.rows || columns != other.columns) {
      throw ActclipException.badInput(
          "%s is seen %s and %s %s, and a batch has images of one size: call resize",
          DataFolder.shown(file), size(), DataFolder.shown(other.file), other.size());
    }
  }

  private String size() {
    return rows + "×" + columns;
  }
}
