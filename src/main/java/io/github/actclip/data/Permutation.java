package io.github.actclip.data;

import java.util.Random;

/** The order of the samples in a shuffled epoch. */
final class Permutation {

  private Permutation() {}

  /** Returns 0 to {@code size} − 1 in an order that depends on the arguments only. */
  static int[] of(int size, long seed, int epoch) {
    // Random's algorithm is part of its specification: every JDK gives the same order.
    Random random = new Random(Seeds.ofEpoch(seed, epoch));
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }
}
