package io.github.actclip.samples.benchmark;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Scanner;

/** The other end of a {@link ProcessContestant}. */
final class Passes {

  private Passes() {}

  /** Says its name, and does and times passes until the standard input ends. */
  static void serve(String name, Runnable pass) {
    pass.run(); // Who cannot fails here, without a name.
    System.out.println(name);
    try (Scanner requests = new Scanner(System.in, StandardCharsets.US_ASCII)) {
      requests.useLocale(Locale.ROOT);
      while (requests.hasNextInt()) {
        int passes = requests.nextInt();
        long start = System.nanoTime();
        for (int i = 0; i < passes; i++) {
          pass.run();
        }
        System.out.println((System.nanoTime() - start) / 1e6 / passes);
      }
    }
  }
}
