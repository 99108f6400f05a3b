package io.github.actclip.data;

import java.util.stream.IntStream;

/**
 * How the lines of an image, rows or columns, are made of those of another one: each is a weighted
 * mean of neighbours, as many as it takes that none is passed over where an image shrinks. As PIL's
 * {@code BILINEAR} and torch's {@code interpolate(…, mode="bilinear", antialias=True)} have it.
 *
 * @param first the first line that each is made of
 * @param weights of that line and those after it
 */
record Resampling(int[] first, float[][] weights) {

  /**
   * Resamples a part of the lines.
   *
   * @param from how many lines there are
   * @param to how many all of them would become
   * @param offset the first that is wanted of these
   * @param length how many are wanted
   */
  static Resampling of(int from, long to, long offset, int length) {
    int[] first = new int[length];
    float[][] weights = new float[length][];
    double scale = (double) from / to;
    double reach = Math.max(scale, 1);
    for (int i = 0; i < length; i++) {
      double center = (offset + i + 0.5) * scale;
      first[i] = Math.max((int) (center - reach + 0.5), 0);
      int end = Math.min((int) (center + reach + 0.5), from);
      weights[i] = triangle(first[i] - center + 0.5, end - first[i], reach);
    }
    return new Resampling(first, weights);
  }

  /** The same of lines that so many others come before. */
  Resampling after(int lines) {
    return new Resampling(IntStream.of(first).map(line -> line + lines).toArray(), weights);
  }

  /** Falls from the center to 0 at what it reaches; its sum is 1. */
  private static float[] triangle(double distance, int length, double reach) {
    double[] heights = new double[length];
    double sum = 0;
    for (int i = 0; i < length; i++) {
      heights[i] = Math.max(0, 1 - Math.abs((distance + i) / reach));
      sum += heights[i];
    }
    float[] weights = new float[length];
    for (int i = 0; i < length; i++) {
      weights[i] = (float) (heights[i] / sum);
    }
    return weights;
  }

  /** How many lines there will be. */
  int length() {
    return first.length;
  }

  /** The first line that any is made of. */
  int begin() {
    return first[0];
  }

  /** The line after the last that any is made of. */
  int end() {
    return first[length() - 1] + weights[length() - 1].length;
  }

  /**
   * Makes the columns of all rows.
   *
   * @param pixels rows × columns × channels, from the first column on that any is made of
   * @return likewise, of {@link #length} columns
   */
  float[] columns(float[] pixels, int rows) {
    int channels = RgbRows.CHANNELS;
    float[] made = new float[rows * length() * channels];
    int to = 0;
    for (int row = 0; row < rows; row++) {
      int begin = pixels.length / rows * row;
      for (int x = 0; x < length(); x++) {
        int from = begin + (first[x] - begin()) * channels;
        for (float weight : weights[x]) {
          made[to] += weight * pixels[from];
          made[to + 1] += weight * pixels[from + 1];
          made[to + 2] += weight * pixels[from + 2];
          from += channels;
        }
        to += channels;
      }
    }
    return made;
  }

  /** Adds to each row what it is made of row {@code y}; called with each, in their order. */
  void addRow(int y, float[] row, float[] rows) {
    for (int i = 0; i < length() && first[i] <= y; i++) {
      int nth = y - first[i];
      if (nth < weights[i].length) {
        float weight = weights[i][nth];
        int to = i * row.length;
        for (int at = 0; at < row.length; at++) {
          rows[to + at] += weight * row[at];
        }
      }
    }
  }
}
