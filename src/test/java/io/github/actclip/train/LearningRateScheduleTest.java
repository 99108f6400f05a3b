package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.testing.Fixture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LearningRateScheduleTest {

  private static final double PEAK = 0.05;

  @ParameterizedTest
  @ValueSource(ints = {10, 57})
  void oneCycleIsPyTorchs(int steps) {
    double[] rates =
        IntStream.range(0, steps)
            .mapToDouble(step -> LearningRateSchedule.ONE_CYCLE.at(step, steps, PEAK))
            .toArray();
    assertArrayEquals(Fixture.load("net").doubles("one_cycle/" + steps), rates, 1e-15);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3})
  void aTrainingOfAFewStepsHasARateForEach(int steps) {
    for (int step = 0; step < steps; step++) {
      double rate = LearningRateSchedule.ONE_CYCLE.at(step, steps, PEAK);
      assertEquals(PEAK / 2, rate, PEAK / 2, "step " + step + " of " + steps);
    }
  }

  @Test
  void aTrainingOfOneStepTakesItAtThePeak() {
    assertEquals(PEAK, LearningRateSchedule.ONE_CYCLE.at(0, 1, PEAK));
  }

  @Test
  void constantIsConstant() {
    assertEquals(PEAK, LearningRateSchedule.CONSTANT.at(0, 7, PEAK));
    assertEquals(PEAK, LearningRateSchedule.CONSTANT.at(6, 7, PEAK));
  }
}
