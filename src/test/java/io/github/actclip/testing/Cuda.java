package io.github.actclip.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.Devices;

/** What tests on a GPU begin with. */
public final class Cuda {

  private Cuda() {}

  /** Skips the test, and says why, where there is none. */
  public static void assumeAvailable() {
    String reason = Devices.whyNoCuda();
    assumeTrue(reason.isEmpty(), reason);
  }
}
