package io.github.actclip.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * How the pixels of a file lie to what a person sees, as its EXIF data says: the person's (y, x) is
 * the file's (y, x), or where transposed (x, y), counted from the other end where mirrored.
 *
 * @param transposed whether the file's rows are the person's columns
 * @param mirroredRows whether the file's first row is last
 * @param mirroredColumns whether the file's first column is last
 */
record Orientation(boolean transposed, boolean mirroredRows, boolean mirroredColumns) {

  /** As it lies in the file. */
  static final Orientation UPRIGHT = of(1);

  /** By the number that EXIF has for it, 1 to 8. */
  static Orientation of(int exif) {
    return new Orientation(
        exif >= 5,
        exif == 3 || exif == 4 || exif == 6 || exif == 7,
        exif == 2 || exif == 3 || exif == 7 || exif == 8);
  }

  /** Reads that of a file; upright where it says nothing, or nothing that can be understood. */
  static Orientation of(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return of(in);
    }
  }

  /** The same of a file's content. */
  static Orientation of(InputStream in) throws IOException {
    int number = Exif.orientation(in);
    return number < 1 || number > 8 ? UPRIGHT : of(number);
  }

  boolean isUpright() {
    return !transposed && !mirroredRows && !mirroredColumns;
  }

  /**
   * Turns pixels as a person sees them.
   *
   * @param pixels rows × columns × channels, as they lie in the file
   */
  float[] turn(float[] pixels, int rows, int columns) {
    if (isUpright()) {
      return pixels;
    }
    int channels = RgbRows.CHANNELS;
    float[] turned = new float[pixels.length];
    for (int row = 0; row < rows; row++) {
      int y = mirroredRows ? rows - 1 - row : row;
      for (int column = 0; column < columns; column++) {
        int x = mirroredColumns ? columns - 1 - column : column;
        int to = transposed ? x * rows + y : y * columns + x;
        int from = row * columns + column;
        System.arraycopy(pixels, from * channels, turned, to * channels, channels);
      }
    }
    return turned;
  }
}
