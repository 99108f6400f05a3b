package io.github.actclip.report;

import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * Points of a plot.
 *
 * @param x where they are
 * @param y their values, NaN where there is none that is finite
 */
record Curve(double[] x, double[] y) {

  /**
   * As many points as a plot can show: where there are more, each is the mean of several.
   *
   * @param count how many there are
   * @param most how many to keep
   */
  static Curve of(int count, int most, IntToDoubleFunction x, IntToDoubleFunction y) {
    int points = Math.min(count, most);
    double[] xs = new double[points];
    double[] ys = new double[points];
    for (int i = 0; i < points; i++) {
      int from = first(i, count, points);
      int to = first(i + 1, count, points);
      xs[i] = meanOfFinite(from, to, x);
      ys[i] = meanOfFinite(from, to, y);
    }
    return new Curve(xs, ys);
  }

  private static int first(int point, int count, int points) {
    return (int) ((long) point * count / points);
  }

  private static double meanOfFinite(int from, int to, IntToDoubleFunction values) {
    return IntStream.range(from, to)
        .mapToDouble(values)
        .filter(Double::isFinite)
        .average()
        .orElse(Double.NaN);
  }

  double least() {
    return finite().min().orElse(Double.NaN);
  }

  double most() {
    return finite().max().orElse(Double.NaN);
  }

  private DoubleStream finite() {
    return Arrays.stream(y).filter(Double::isFinite);
  }

  /** Whether there is nothing to draw. */
  boolean isEmpty() {
    return finite().findAny().isEmpty();
  }
}
