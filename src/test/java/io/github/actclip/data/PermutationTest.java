package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Arrays;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class PermutationTest {

  @Property
  void hasEveryIndexOnce(
      @ForAll @IntRange(max = 2_000) int size,
      @ForAll long seed,
      @ForAll @IntRange(max = Integer.MAX_VALUE) int epoch) {
    int[] order = Permutation.of(size, seed, epoch);
    Arrays.sort(order);
    assertArrayEquals(IntStream.range(0, size).toArray(), order);
  }

  @Property
  void dependsOnTheSeedAndTheEpochOnly(
      @ForAll @IntRange(min = 50, max = 500) int size,
      @ForAll long seed,
      @ForAll @IntRange(max = 1_000) int epoch) {
    int[] order = Permutation.of(size, seed, epoch);
    assertArrayEquals(order, Permutation.of(size, seed, epoch));
    assertFalse(Arrays.equals(order, Permutation.of(size, seed, epoch + 1)));
    assertFalse(Arrays.equals(order, Permutation.of(size, seed + 1, epoch)));
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
