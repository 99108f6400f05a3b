package io.github.actclip.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Fixed-point products beside exact ones. */
class MultiplierTest {

  @Test
  void roundsTheExactProductOfWhatItStandsFor() {
    Random random = new Random(7);
    for (int i = 0; i < 20_000; i++) {
      double value = Math.scalb(0.5 + random.nextDouble() / 2, random.nextInt(60) - 31);
      Multiplier multiplier = Multiplier.of(value);
      int sum = random.nextInt() >> random.nextInt(31);
      BigDecimal stood =
          BigDecimal.valueOf(multiplier.multiplier())
              .divide(BigDecimal.valueOf(2).pow(multiplier.shift()));
      assertEquals(value, stood.doubleValue(), value * 0x1p-31);
      BigDecimal exact = stood.multiply(BigDecimal.valueOf(sum));
      long nearest = exact.add(new BigDecimal("0.5")).setScale(0, RoundingMode.FLOOR).longValue();
      assertEquals(nearest, multiplier.times(sum), value + " times " + sum);
    }
  }

  @Test
  void tiesRoundUp() {
    Multiplier half = Multiplier.of(0.5);
    assertEquals(new Multiplier(1 << 30, 31), half);
    assertEquals(2, half.times(3));
    assertEquals(-1, half.times(-3));
  }

  @Test
  void oneLeavesSumsAsTheyAre() {
    assertEquals(Integer.MIN_VALUE, Multiplier.of(1).times(Integer.MIN_VALUE));
    assertEquals(Integer.MAX_VALUE, Multiplier.of(1).times(Integer.MAX_VALUE));
    assertEquals(7, Multiplier.of(Math.nextDown(1.0)).times(7));
  }

  @Test
  void theEndsSaturateOrVanish() {
    assertEquals(0, Multiplier.of(1e-30).times(Integer.MAX_VALUE));
    assertEquals(0, Multiplier.of(Double.MIN_VALUE).times(Integer.MAX_VALUE));
    assertTrue(Multiplier.of(1e30).times(1) > 255);
    assertTrue(Multiplier.of(1e30).times(-1) < -255);
  }
}
