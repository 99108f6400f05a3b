package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentSampleModel;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The rows of a decoded image in red, green and blue, as PIL's {@code convert("RGB")} makes them:
 * grey is repeated, alpha is left out, and a profile of colours is not applied (the JDK's own
 * conversion brightens what is grey). 16 bits a channel stay as fine as they are.
 */
final class RgbRows {

  static final int CHANNELS = 3;

  private static final int MAX_BITS = 16;

  private final BufferedImage image;
  private final Raster raster;

  /** Which band of the raster is red, green and blue; none where only the colour model knows. */
  private final int[] bands;

  private final float[] highest = new float[CHANNELS];
  private final int[] row;

  /** Whether the samples are bytes in one array, which are read there. */
  private final boolean ofBytes;

  /**
   * Shows an image.
   *
   * @param file what it was decoded from, for the message
   * @throws ActclipException bad input, when its channels are no whole numbers of at most 16 bits
   */
  RgbRows(Path file, BufferedImage image) {
    this.image = image;
    raster = image.getRaster();
    ColorModel model = image.getColorModel();
    bands = bands(model);
    Arrays.fill(highest, 255);
    for (int channel = 0; channel < bands.length; channel++) {
      int bits = model.getComponentSize(bands[channel]);
      if (bits > MAX_BITS || model.getTransferType() >= DataBuffer.TYPE_FLOAT) {
        throw ActclipException.badInput(
            "%s has %d bits a channel; images of at most %d, whole numbers, are read",
            DataFolder.shown(file), bits, MAX_BITS);
      }
      highest[channel] = (1 << bits) - 1;
    }
    row = new int[image.getWidth() * raster.getNumBands()];
    ofBytes =
        raster.getSampleModel() instanceof ComponentSampleModel
            && raster.getDataBuffer() instanceof DataBufferByte buffer
            && buffer.getNumBanks() == 1;
  }

  private static int[] bands(ColorModel model) {
    if (model instanceof IndexColorModel) {
      return new int[0];
    }
    return switch (model.getColorSpace().getType()) {
      case ColorSpace.TYPE_GRAY -> new int[] {0, 0, 0};
      case ColorSpace.TYPE_RGB -> new int[] {0, 1, 2};
      default -> new int[0];
    };
  }

  int rows() {
    return image.getHeight();
  }

  int columns() {
    return image.getWidth();
  }

  /**
   * Reads a part of a row, in whole numbers as they are in the file.
   *
   * @param x the first column
   * @param out gets columns × channels, as many as it has room for
   */
  void read(int x, int y, float[] out) {
    int columns = out.length / CHANNELS;
    if (bands.length == 0) {
      readColours(x, y, columns, out);
      return;
    }
    if (ofBytes) {
      readBytes(x, y, out);
      return;
    }
    raster.getPixels(x, y, columns, 1, row);
    int step = raster.getNumBands();
    for (int channel = 0; channel < CHANNELS; channel++) {
      int from = bands[channel];
      for (int to = channel; to < out.length; to += CHANNELS, from += step) {
        out[to] = row[from];
      }
    }
  }

  /** Divides by the highest number that there can be, so that the values are 0 to 1. */
  void scale(float[] pixels) {
    for (int at = 0; at < pixels.length; at += CHANNELS) {
      for (int channel = 0; channel < CHANNELS; channel++) {
        pixels[at + channel] /= highest[channel];
      }
    }
  }

  /** Most images; what a raster does for each row takes longer than all the rest. */
  private void readBytes(int x, int y, float[] out) {
    ComponentSampleModel model = (ComponentSampleModel) raster.getSampleModel();
    DataBufferByte buffer = (DataBufferByte) raster.getDataBuffer();
    byte[] bytes = buffer.getData();
    int column = x - raster.getSampleModelTranslateX();
    int line = y - raster.getSampleModelTranslateY();
    int step = model.getPixelStride();
    for (int channel = 0; channel < CHANNELS; channel++) {
      int from = buffer.getOffset() + model.getOffset(column, line, bands[channel]);
      for (int to = channel; to < out.length; to += CHANNELS, from += step) {
        out[to] = bytes[from] & 0xff;
      }
    }
  }

  private void readColours(int x, int y, int columns, float[] out) {
    image.getRGB(x, y, columns, 1, row, 0, columns);
    for (int i = 0; i < columns; i++) {
      out[i * CHANNELS] = row[i] >> 16 & 0xff;
      out[i * CHANNELS + 1] = row[i] >> 8 & 0xff;
      out[i * CHANNELS + 2] = row[i] & 0xff;
    }
  }
}
