package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

/** {@link EventFileTest} compares one with numpy's. */
class HistogramTest {

  @Property
  void everyValueIsCountedBetweenTheLimitsOfItsBin(
      @ForAll @Size(min = 1, max = 100) List<@IntRange(min = -1000, max = 1000) Integer> eighths) {
    double[] values = eighths.stream().mapToDouble(i -> i / 8.0).toArray();
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
