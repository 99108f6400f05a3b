package io.github.actclip.report;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Metrics as a person reads them: shares in per cent, whose names end in {@code accuracy}. */
final class Shown {

  static final String LOSS = "loss";

  private static final double SMALL = 1e-3;
  private static final double PERCENT = 100;

  private Shown() {}

  static boolean isShare(String metric) {
    return metric.endsWith("accuracy");
  }

  /** As a plot or a table of numbers has it. */
  static double scaled(String metric, double value) {
    return isShare(metric) ? PERCENT * value : value;
  }

  static String text(String metric, double value) {
    return isShare(metric) ? percent(value) : number(value);
  }

  static String percent(double share) {
    return String.format(Locale.ROOT, "%.2f %%", PERCENT * share);
  }

  static String number(double value) {
    boolean small = value != 0 && Math.abs(value) < SMALL;
    return String.format(Locale.ROOT, small ? "%.2e" : "%.4f", value);
  }

  /** {@code top5_accuracy}: {@code top5 accuracy}. */
  static String label(String metric) {
    return metric.replace('_', ' ');
  }

  static String title(String metric) {
    return metric.substring(0, 1).toUpperCase(Locale.ROOT) + label(metric.substring(1));
  }

  /** The metrics without the loss. */
  static List<String> metrics(Map<String, Double> all) {
    return all.keySet().stream().filter(name -> !name.equals(LOSS)).toList();
  }
}
