package io.github.actclip.io;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Valid bytes with some of them changed. */
final class Mutations {

  private Mutations() {}

  /** Changes 1 to {@code most} bytes. */
  static byte[] of(byte[] original, int most, SplittableRandom random) {
    byte[] bytes = original.clone();
    for (int edits = random.nextInt(1, most + 1); edits > 0; edits--) {
      bytes[random.nextInt(bytes.length)] = (byte) value(random);
    }
    return bytes;
  }

  /** A byte; one time in four one of those at which sizes and signs turn. */
  private static int value(SplittableRandom random) {
    int[] extremes = {0, 1, 127, 128, 254, 255};
    return random.nextInt(4) == 0 ? extremes[random.nextInt(extremes.length)] : random.nextInt(256);
  }

  /** Changes some bytes, and cuts the end off or adds zeros to it. */
  static byte[] ofAnotherLength(byte[] original, int most, SplittableRandom random) {
    byte[] bytes = of(original, most, random);
    return Arrays.copyOf(bytes, random.nextInt(2 * bytes.length + 1));
  }
}
