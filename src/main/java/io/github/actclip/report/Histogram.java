package io.github.actclip.report;

import io.github.actclip.nn.ActivationStatistics;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How values are spread, as TensorBoard's {@code HistogramProto} has it.
 *
 * @param min the least value
 * @param max the greatest
 * @param count of the values
 * @param sum of the values
 * @param sumOfSquares of the values
 * @param limits the upper end of each bin; the first bin is empty, so that its end is where the
 *     others begin
 * @param counts how many values each bin has
 */
record Histogram(
    double min,
    double max,
    double count,
    double sum,
    double sumOfSquares,
    double[] limits,
    double[] counts) {

  private static final int BINS = 30;

  /**
   * In 30 bins of the same width, as numpy's {@code histogram} makes them; finite, at least one.
   */
  static Histogram of(double[] values) {
    double min = Arrays.stream(values).min().orElseThrow();
    double max = Arrays.stream(values).max().orElseThrow();
    double from = min < max ? min : min - 0.5;
    double width = min < max ? max - min : 1;
    double[] counts = new double[1 + BINS];
    for (double value : values) {
      counts[1 + Math.min((int) ((value - from) * BINS / width), BINS - 1)]++;
    }
    return new Histogram(
        min,
        max,
        values.length,
        Arrays.stream(values).sum(),
        Arrays.stream(values).map(value -> value * value).sum(),
        limits(from, width / BINS, BINS),
        counts);
  }

  /**
   * Of activations, whose values are no longer known: each counts as the middle of its bin.
   *
   * @param threshold the end of the tenth bin, above 0
   * @param tenths as in {@link ActivationStatistics#histogram}
   */
  static Histogram ofTenths(double threshold, List<Long> tenths) {
    double width = threshold / 10;
    double[] counts = new double[1 + tenths.size()];
    double count = 0;
    double sum = 0;
    double sumOfSquares = 0;
    for (int i = 0; i < tenths.size(); i++) {
      double middle = (i + 0.5) * width;
      counts[1 + i] = tenths.get(i);
      count += tenths.get(i);
      sum += tenths.get(i) * middle;
      sumOfSquares += tenths.get(i) * middle * middle;
    }
    double[] limits = limits(0, width, tenths.size());
    return new Histogram(0, limits[tenths.size()], count, sum, sumOfSquares, limits, counts);
  }

  private static double[] limits(double from, double width, int bins) {
    return IntStream.rangeClosed(0, bins).mapToDouble(i -> from + i * width).toArray();
  }
}
