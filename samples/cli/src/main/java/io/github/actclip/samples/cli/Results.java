package io.github.actclip.samples.cli;

import java.util.Locale;

/** What commands print to standard output. */
final class Results {

  private Results() {}

  static void print(String name, Object value) {
    System.out.printf(Locale.ROOT, "%-20s %s%n", name, value);
  }

  /** The same for a training and a later evaluation, so that they can be compared as text. */
  static void printTest(double loss, double accuracy, int images) {
    print(
        "test accuracy",
        String.format(Locale.ROOT, "%.4f %% of %,d images", 100 * accuracy, images));
    print("test loss", loss);
  }
}
