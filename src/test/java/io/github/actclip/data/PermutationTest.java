package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.github.actclip.testing.RandomCases;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PermutationTest {

  @Test
  void hasEveryIndexOnce() {
    RandomCases.check(
        1_000,
        random -> {
          int size = or(random, random.nextInt(2_001), 0, 1, 2);
          int epoch = or(random, random.nextInt(Integer.MAX_VALUE), 0, 1, Integer.MAX_VALUE);
          int[] order = Permutation.of(size, seed(random), epoch);
          Arrays.sort(order);
          assertArrayEquals(IntStream.range(0, size).toArray(), order);
        });
  }

  @Test
  void dependsOnTheSeedAndTheEpochOnly() {
    RandomCases.check(
        1_000,
        random -> {
          int size = random.nextInt(50, 501);
          int epoch = or(random, random.nextInt(1_001), 0, 1);
          long seed = seed(random);
          int[] order = Permutation.of(size, seed, epoch);
          assertArrayEquals(order, Permutation.of(size, seed, epoch));
          assertFalse(Arrays.equals(order, Permutation.of(size, seed, epoch + 1)));
          assertFalse(Arrays.equals(order, Permutation.of(size, seed + 1, epoch)));
        });
  }

  private static long seed(SplittableRandom random) {
    long[] extremes = {0, 1, -1, Long.MIN_VALUE, Long.MAX_VALUE};
    return random.nextInt(8) == 0 ? extremes[random.nextInt(extremes.length)] : random.nextLong();
  }

  /** That number, and now and then one of the extremes. */
  private static int or(SplittableRandom random, int number, int... extremes) {
    return random.nextInt(8) == 0 ? extremes[random.nextInt(extremes.length)] : number;
  }

  /** A resumed run must see the images in the order that the first one would have. */
  @Test
  void neverChanges() {
    assertArrayEquals(new int[] {5, 2, 1, 7, 3, 0, 4, 6}, Permutation.of(8, 1, 0));
  }

  @Test
  void putsEachIndexEverywhereEquallyOften() {
    int[][] counts = new int[5][5];
    int epochs = 10_000;
    for (int epoch = 0; epoch < epochs; epoch++) {
      int[] order = Permutation.of(5, 7, epoch);
      for (int place = 0; place < 5; place++) {
        counts[place][order[place]]++;
      }
    }
    for (int[] row : counts) {
      for (int count : row) {
        // Five standard deviations of a binomial with n = 10,000, p = 1/5.
        assertEquals(2_000, count, 200);
      }
    }
  }
}
