package io.github.actclip.samples.benchmark;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Scanner;
import java.util.function.IntToDoubleFunction;

/** The other end of a {@link ProcessContestant}. */
final class Passes {

  private Passes() {}

  /** The same with callers that ask at the same time; a pass is one of one caller's. */
  static void serve(String name, Callers callers) {
    callers.ask(callers.count());
    System.out.println(name);
    answer(callers::throughput);
  }

  /** Says its name, and does and times passes until the standard input ends. */
  static void serve(String name, Runnable pass) {
    pass.run(); // Who cannot fails here, without a name.
    System.out.println(name);
    answer(
        passes -> {
          long start = System.nanoTime();
          for (int i = 0; i < passes; i++) {
            pass.run();
          }
          return (System.nanoTime() - start) / 1e6 / passes;
        });
  }

  private static void answer(IntToDoubleFunction measure) {
    try (Scanner requests = new Scanner(System.in, StandardCharsets.US_ASCII)) {
      requests.useLocale(Locale.ROOT);
      while (requests.hasNextInt()) {
        System.out.println(measure.applyAsDouble(requests.nextInt()));
      }
    }
  }
}
