package io.github.actclip.train;

import java.util.Arrays;

/** Since which step each channel of a threshold stands still, and gets a gradient of 0. */
final class Movement {

  private static final long NEVER = -1;

  private final double[] last;
  private final long[] stillSince;
  private final long[] zeroSince;

  Movement(int channels) {
    last = new double[channels];
    Arrays.fill(last, Double.NaN); // which no number equals
    stillSince = new long[channels];
    zeroSince = new long[channels];
    Arrays.fill(zeroSince, NEVER);
  }

  /** Takes up what a step came to. */
  void track(long step, double[] values, double[] gradients) {
    for (int c = 0; c < last.length; c++) {
      if (values[c] != last[c]) {
        last[c] = values[c];
        stillSince[c] = step;
      }
      if (gradients[c] != 0) {
        zeroSince[c] = NEVER;
      } else if (zeroSince[c] == NEVER) {
        zeroSince[c] = step;
      }
    }
  }

  /** The step after which a channel has the value that it has. */
  long stillSince(int channel) {
    return stillSince[channel];
  }

  /** Whether the last gradient of a channel was exactly 0. */
  boolean isZero(int channel) {
    return zeroSince[channel] != NEVER;
  }

  /** The step from which on all of them were, where the last one was. */
  long zeroSince(int channel) {
    return zeroSince[channel];
  }
}
