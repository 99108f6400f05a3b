package io.github.actclip.samples.benchmark;

import java.util.Arrays;
import java.util.Locale;

/**
 * What one contestant needed.
 *
 * @param millis a pass
 * @param times how many times as long as actclip, round by round
 */
record Measurement(BenchmarkCase in, String who, Spread millis, Spread times) {

  private static final String LINE = "%-8s %9s %8s %-9s %-25s %-30s %s%n";

  static void printTitle() {
    System.out.printf(
        Locale.ROOT,
        LINE,
        "part",
        "size",
        "threads",
        "precision",
        "who",
        "ms (from to)",
        "times ours (from to)");
  }

  void print() {
    System.out.printf(
        Locale.ROOT,
        LINE,
        in.part(),
        in.size(),
        in.threads(),
        BenchmarkCase.lower(in.precision()),
        who,
        millis.text("%.4g"),
        times.text("%.2f"));
  }

  /** The median of some rounds, and the least and the most. */
  record Spread(double median, double from, double to) {

    static Spread of(double[] values) {
      double[] sorted = values.clone();
      Arrays.sort(sorted);
      return new Spread(sorted[sorted.length / 2], sorted[0], sorted[sorted.length - 1]);
    }

    private String text(String format) {
      return String.format(
          Locale.ROOT, format + " (" + format + " " + format + ")", median, from, to);
    }
  }
}
