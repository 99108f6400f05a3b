package io.github.actclip.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.optim.LearningRateSchedule.Type;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.testing.Fixture;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the rates of PyTorch's schedulers. */
class LearningRateScheduleTest {

  private static final double PEAK = 0.05;
  private static final double ROUNDING = 1e-15;
  private static final Fixture FIXTURE = Fixture.load("training");
  private static final int WARM_UP = FIXTURE.at("warm_up").asInt();

  private static double[] rates(LearningRateSchedule schedule, int steps, int stepsPerEpoch) {
    return IntStream.range(0, steps)
        .mapToDouble(step -> schedule.at(PEAK, step, steps, stepsPerEpoch, List.of()))
        .toArray();
  }

  static Stream<Arguments> schedules() {
    LearningRateSchedule constant = LearningRateSchedule.of(Type.CONSTANT);
    LearningRateSchedule step = LearningRateSchedule.step(2, 0.3);
    LearningRateSchedule cosine = LearningRateSchedule.of(Type.COSINE);
    return Stream.of(
        Arguments.of("step", step),
        Arguments.of("cosine", cosine),
        Arguments.of("constant_after_warm_up", constant.withWarmUp(WARM_UP)),
        Arguments.of("step_after_warm_up", step.withWarmUp(WARM_UP)),
        Arguments.of("cosine_after_warm_up", cosine.withWarmUp(WARM_UP)));
  }

  @ParameterizedTest
  @MethodSource("schedules")
  void ratesArePyTorchs(String name, LearningRateSchedule schedule) {
    assertEquals(PEAK, FIXTURE.at("peak").asDouble());
    double[] rates =
        rates(schedule, FIXTURE.at("steps").asInt(), FIXTURE.at("steps_per_epoch").asInt());
    assertArrayEquals(FIXTURE.doubles(name), rates, ROUNDING);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5, 10, 57})
  void oneCycleIsPyTorchs(int steps) {
    double[] rates = rates(LearningRateSchedule.of(Type.ONE_CYCLE), steps, steps);
    assertArrayEquals(Fixture.load("net").doubles("one_cycle/" + steps), rates, ROUNDING);
  }

  static Stream<JsonNode> plateaus() {
    return StreamSupport.stream(FIXTURE.at("plateaus").spliterator(), false);
  }

  @ParameterizedTest
  @MethodSource("plateaus")
  void reductionsOnPlateausArePyTorchs(JsonNode plateau) {
    LearningRateSchedule schedule =
        LearningRateSchedule.reduceOnPlateau(
            plateau.get("factor").asDouble(), plateau.get("patience").asInt());
    double peak = plateau.get("peak").asDouble();
    List<Double> losses = new ArrayList<>();
    for (int epoch = 0; epoch < plateau.get("rates").size(); epoch++) {
      assertEquals(
          plateau.get("rates").get(epoch).asDouble(),
          schedule.at(peak, 10L * epoch, 1000, 10, losses),
          ROUNDING,
          "epoch " + epoch);
      losses.add(plateau.get("losses").get(epoch).asDouble());
    }
  }

  @Test
  void aPlateauIsReducedAfterAWarmUpToo() {
    LearningRateSchedule schedule = LearningRateSchedule.reduceOnPlateau(0.5, 0).withWarmUp(10);
    assertEquals(PEAK * 0.3, schedule.at(PEAK, 2, 100, 5, List.of()), ROUNDING);
    assertEquals(PEAK / 2, schedule.at(PEAK, 10, 100, 5, List.of(1.0, 1.0)), ROUNDING);
  }

  @ParameterizedTest
  @EnumSource(Type.class)
  void aTrainingOfAFewStepsHasARateForEach(Type type) {
    for (int steps = 1; steps < 4; steps++) {
      for (double rate : rates(LearningRateSchedule.of(type), steps, 1)) {
        assertTrue(rate > 0 && rate <= PEAK, type + ": " + rate);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "ONE_CYCLE")
  void aWarmUpMayBeLongerThanTheTraining(Type type) {
    double[] rates = rates(LearningRateSchedule.of(type).withWarmUp(8), 4, 2);
    assertArrayEquals(new double[] {PEAK / 8, PEAK / 4, PEAK * 3 / 8, PEAK / 2}, rates, ROUNDING);
  }

  @Test
  void aTrainingOfOneStepTakesItAtThePeak() {
    assertArrayEquals(new double[] {PEAK}, rates(LearningRateSchedule.of(Type.ONE_CYCLE), 1, 1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "STEP | -1 | 4 | 0.1 | 0.1 | 10 | warmUpSteps (-1) must be at least 0",
        "STEP | 0 | 0 | 0.1 | 0.1 | 10 | stepSize (0) must be at least 1",
        "STEP | 0 | 4 | 0 | 0.1 | 10 | gamma (0.0) must be above 0 and at most 1",
        "STEP | 0 | 4 | NaN | 0.1 | 10 | gamma (NaN) must be above 0 and at most 1",
        "REDUCE_ON_PLATEAU | 0 | 4 | 0.1 | 1 | 10 | factor (1.0) must be above 0 and below 1",
        "REDUCE_ON_PLATEAU | 0 | 4 | 0.1 | 0.1 | -1 | patience (-1) must be at least 0",
        "CONSTANT | 0 | 5 | 0.1 | 0.1 | 10 | stepSize (5) is an option of STEP",
        "COSINE | 0 | 4 | 0.5 | 0.1 | 10 | gamma (0.5) is an option of STEP",
        "STEP | 0 | 4 | 0.5 | 0.2 | 10 | factor (0.2) is an option of REDUCE_ON_PLATEAU",
        "STEP | 0 | 4 | 0.5 | 0.1 | 9 | patience (9) is an option of REDUCE_ON_PLATEAU",
        "ONE_CYCLE | 9 | 4 | 0.1 | 0.1 | 10"
            + " | warmUpSteps (9) is an option of any schedule but ONE_CYCLE, which has its own",
      })
  void aValueThatDoesNotSuitIsOneSentence(
      Type type,
      int warmUp,
      int stepSize,
      double gamma,
      double factor,
      int patience,
      String sentence) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> new LearningRateSchedule(type, warmUp, stepSize, gamma, factor, patience));
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
