package io.github.actclip.data;

import java.util.Random;

/** The order of the images in a shuffled epoch. */
final class Permutation {

  private Permutation() {}

  /** Returns 0 to {@code size} − 1 in an order that depends on the arguments only. */
  static int[] of(int size, long seed, int epoch) {
    // Random's algorithm is part of its specification: every JDK gives the same order.
    Random random = new Random(mix(seed + 0x9e3779b97f4a7c15L * (epoch + 1L)));
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  /**
   * SplitMix64's finaliser: seeds and epochs that are close must not give orders that are alike.
   */
  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
