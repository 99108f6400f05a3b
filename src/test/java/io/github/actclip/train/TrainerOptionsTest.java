package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class TrainerOptionsTest {

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void theDefaultsAreValid(OptimizerType optimizer) {
    TrainerOptions options = TrainerOptions.defaults(optimizer);
    assertEquals(12, options.epochs());
    assertEquals(optimizer.defaultLearningRate(), options.optimizer().learningRate());
    assertEquals(1, options.optimizer().thresholdLearningRateFactor());
    assertEquals(options.optimizer().weightDecay(), options.optimizer().thresholdWeightDecay());
    assertEquals(options, options.toBuilder().build());
  }

  @Test
  void theThresholdsDecayAsTheWeightsUnlessSaidOtherwise() {
    TrainerOptions.Builder builder = TrainerOptions.builder(OptimizerType.SGD).weightDecay(0.25);
    assertEquals(0.25, builder.build().optimizer().thresholdWeightDecay());
    TrainerOptions own = builder.thresholdWeightDecay(0.5).weightDecay(0.125).build();
    assertEquals(0.5, own.optimizer().thresholdWeightDecay());
    assertEquals(0.5, own.toBuilder().weightDecay(0).build().optimizer().thresholdWeightDecay());
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void thresholdsThatDecayAsTheWeightsGoOnToInACopy(OptimizerType optimizer) {
    TrainerOptions defaults = TrainerOptions.defaults(optimizer);
    assertEquals(
        0.25, defaults.toBuilder().weightDecay(0.25).build().optimizer().thresholdWeightDecay());
    TrainerOptions slow = defaults.toBuilder().thresholdLearningRateFactor(0.1).build();
    assertEquals(
        0.25, slow.toBuilder().weightDecay(0.25).build().optimizer().thresholdWeightDecay());
    TrainerOptions.Builder own = slow.toBuilder().weightDecay(0.25).thresholdWeightDecay(0.5);
    assertEquals(0.5, own.build().optimizer().thresholdWeightDecay());
  }

  static Stream<Arguments> wrong() {
    String inFloat = " must be at least 0 and fit into a float";
    return Stream.of(
        wrong(b -> b.epochs(0), "epochs (0) must be at least 1"),
        wrong(b -> b.batchSize(-8), "batchSize (-8) must be at least 1"),
        wrong(b -> b.accumulation(0), "accumulation (0) must be at least 1"),
        wrong(b -> b.learningRate(0), "learningRate (0.0) must be above 0 and fit into a float"),
        wrong(
            b -> b.learningRate(Double.NaN),
            "learningRate (NaN) must be above 0 and fit into a float"),
        wrong(
            b -> b.learningRate(Double.POSITIVE_INFINITY),
            "learningRate (Infinity) must be above 0 and fit into a float"),
        wrong(b -> b.momentum(1), "the momentum (1.0) must be at least 0 and below 1"),
        wrong(b -> b.momentum(Double.NaN), "the momentum (NaN) must be at least 0 and below 1"),
        wrong(b -> b.weightDecay(-1), "weightDecay (-1.0)" + inFloat),
        wrong(b -> b.weightDecay(Double.NaN), "weightDecay (NaN)" + inFloat),
        wrong(
            b -> b.thresholdLearningRateFactor(-1), "thresholdLearningRateFactor (-1.0)" + inFloat),
        wrong(
            b -> b.thresholdLearningRateFactor(Double.POSITIVE_INFINITY),
            "thresholdLearningRateFactor (Infinity)" + inFloat),
        wrong(b -> b.thresholdWeightDecay(-0.5), "thresholdWeightDecay (-0.5)" + inFloat),
        wrong(b -> b.thresholdWeightDecay(Double.NaN), "thresholdWeightDecay (NaN)" + inFloat),
        wrong(b -> b.maxGradNorm(-1), "maxGradNorm (-1.0)" + inFloat),
        wrong(b -> b.maxGradNorm(Double.NaN), "maxGradNorm (NaN)" + inFloat));
  }

  private static Arguments wrong(UnaryOperator<TrainerOptions.Builder> change, String sentence) {
    return Arguments.of(sentence, change);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("wrong")
  void aValueOutOfRangeIsOneSentence(
      String sentence, UnaryOperator<TrainerOptions.Builder> change) {
    TrainerOptions.Builder builder = change.apply(TrainerOptions.builder(OptimizerType.SGD));
    ActclipException e = assertThrows(ActclipException.class, builder::build);
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }

  @Test
  void onlySgdHasAMomentumToChoose() {
    assertEquals(
        0, TrainerOptions.builder(OptimizerType.SGD).momentum(0).build().optimizer().momentum());
    TrainerOptions.Builder adam = TrainerOptions.builder(OptimizerType.ADAM).momentum(0.5);
    ActclipException e = assertThrows(ActclipException.class, adam::build);
    assertEquals("the momentum (0.5) is an option of sgd: adam always uses 0.9", e.getMessage());
  }

  @Test
  void float16IsRefusedOnTheCpu() {
    for (Precision precision : List.of(Precision.FLOAT32, Precision.BFLOAT16)) {
      precision.requireOn(Devices.of("cpu"));
    }
    ActclipException e =
        assertThrows(ActclipException.class, () -> Precision.FLOAT16.requireOn(Devices.of("cpu")));
    assertEquals(
        "the precision (float16) is for GPUs only: on the CPU, take bfloat16 or float32",
        e.getMessage());
    assertTrue(e.isBadInput());
  }
}
