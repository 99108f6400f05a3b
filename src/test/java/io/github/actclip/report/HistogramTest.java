package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.testing.RandomCases;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** {@link EventFileTest} compares one with numpy's. */
class HistogramTest {

  @Test
  void everyValueIsCountedBetweenTheLimitsOfItsBin() {
    RandomCases.check(
        1_000,
        random -> {
          int most = new int[] {0, 3, 1_000}[random.nextInt(3)]; // of some, many values are alike
          int count = random.nextInt(1, 101);
          assertIsCounted(random.ints(count, -most, most + 1).mapToDouble(i -> i / 8.0).toArray());
        });
  }

  private static void assertIsCounted(double... values) {
    Histogram histogram = Histogram.of(values);
    assertEquals(values.length, Arrays.stream(histogram.counts()).sum());
    assertEquals(0, histogram.counts()[0]);
    double[] limits = histogram.limits();
    double rounding = 1e-9;
    for (int bin = 1; bin < limits.length; bin++) {
      double from = limits[bin - 1];
      double to = limits[bin];
      long surely =
          Arrays.stream(values).filter(v -> v > from + rounding && v < to - rounding).count();
      long atMost =
          Arrays.stream(values).filter(v -> v > from - rounding && v < to + rounding).count();
      double count = histogram.counts()[bin];
      assertTrue(surely <= count && count <= atMost, surely + ", " + count + ", " + atMost);
    }
  }

  @Test
  void valuesThatAreAlikeAreInTheMiddleOfABinOfTheirSize() {
    // numpy.histogram([2.5, 2.5, 2.5], 30): from 2 to 3, all three in [2.5, 2.5333).
    Histogram histogram = Histogram.of(new double[] {2.5, 2.5, 2.5});
    assertEquals(2, histogram.limits()[0]);
    assertEquals(3, histogram.limits()[30]);
    assertEquals(3, histogram.counts()[16]);
    assertEquals(2.5, histogram.min());
    assertEquals(2.5, histogram.max());
  }

  @Test
  void activationsAreInTenthsOfTheThreshold() {
    List<Long> tenths =
        IntStream.range(0, 20).mapToObj(i -> i == 3 ? 5L : i == 19 ? 1L : 0L).toList();
    Histogram histogram = Histogram.ofTenths(2, tenths);
    assertEquals(0, histogram.min());
    assertEquals(4, histogram.max(), 1e-15);
    assertEquals(6, histogram.count());
    assertEquals(5 * 0.7 + 3.9, histogram.sum(), 1e-12);
    assertEquals(5 * 0.49 + 15.21, histogram.sumOfSquares(), 1e-12);
    double[] limits = IntStream.rangeClosed(0, 20).mapToDouble(i -> i / 5.0).toArray();
    assertArrayEquals(limits, histogram.limits(), 1e-12);
    assertEquals(5, histogram.counts()[4]);
    assertEquals(1, histogram.counts()[20]);
  }
}
