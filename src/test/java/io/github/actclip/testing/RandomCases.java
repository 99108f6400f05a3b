package io.github.actclip.testing;

import java.util.SplittableRandom;

/** Tries what should always hold on random cases, the same in every run. */
public final class RandomCases {

  private RandomCases() {}

  /** One case: makes its arguments and asserts. */
  @FunctionalInterface
  public interface Case {
    void check(SplittableRandom random) throws Exception;
  }

  /** Tries so many cases, each from a seed of its own, which a failure names. */
  public static void check(int cases, Case property) {
    for (long seed = 0; seed < cases; seed++) {
      try {
        property.check(new SplittableRandom(seed));
      } catch (Throwable e) { // a stack overflow, too
        throw new AssertionError("the case of seed " + seed + ": " + e.getMessage(), e);
      }
    }
  }
}
