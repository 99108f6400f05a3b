package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.Path;

/**
 * What is seen of an image.
 *
 * @param file where it is from
 * @param pixels rows × columns × channels, from 0 to 1
 */
record FramedImage(Path file, int rows, int columns, float[] pixels) {

  /** Decodes a file; see {@link ImageFile#read}, {@link RgbRows} and {@link Framing#of}. */
  static FramedImage read(Path file, Framing framing) {
    RgbRows image = new RgbRows(file, ImageFile.read(file));
    try {
      return framing.of(file, image, Orientation.of(file));
    } catch (IOException e) {
      throw ActclipException.badInput(
          "%s cannot be read: %s", DataFolder.shown(file), e.getMessage());
    }
  }

  boolean isAsLargeAs(FramedImage other) {
    return rows == other.rows && columns == other.columns;
  }

  String size() {
    return rows + "×" + columns;
  }
}
