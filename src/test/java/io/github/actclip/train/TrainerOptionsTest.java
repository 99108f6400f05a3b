package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class TrainerOptionsTest {

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void theDefaultsAreValid(OptimizerType optimizer) {
    TrainerOptions options = TrainerOptions.defaults(optimizer);
    assertEquals(12, options.epochs());
    assertEquals(optimizer.defaultLearningRate(), options.learningRate());
    assertEquals(1, options.thresholdLearningRateFactor());
    assertEquals(options.weightDecay(), options.thresholdWeightDecay());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "0 | 8 | SGD | 0.1 | 0.9 | 0 | 1 | 0 | epochs (0) must be at least 1",
        "1 | -8 | SGD | 0.1 | 0.9 | 0 | 1 | 0 | batchSize (-8) must be at least 1",
        "1 | 8 | SGD | 0 | 0.9 | 0 | 1 | 0 | learningRate (0.0) must be above 0 and fit into a float",
        "1 | 8 | SGD | NaN | 0.9 | 0 | 1 | 0 | learningRate (NaN) must be above 0 and fit into a float",
        "1 | 8 | SGD | Infinity | 0.9 | 0 | 1 | 0 | learningRate (Infinity) must be above 0 and fit into a float",
        "1 | 8 | SGD | 0.1 | 1 | 0 | 1 | 0 | the momentum (1.0) must be at least 0 and below 1",
        "1 | 8 | SGD | 0.1 | NaN | 0 | 1 | 0 | the momentum (NaN) must be at least 0 and below 1",
        "1 | 8 | ADAM | 0.1 | 0.5 | 0 | 1 | 0"
            + " | the momentum (0.5) is an option of sgd: adam always uses 0.9",
        "1 | 8 | SGD | 0.1 | 0.9 | -1 | 1 | 0 | weightDecay (-1.0) must be at least 0 and fit into a float",
        "1 | 8 | SGD | 0.1 | 0.9 | NaN | 1 | 0 | weightDecay (NaN) must be at least 0 and fit into a float",
        "1 | 8 | SGD | 0.1 | 0.9 | 0 | -1 | 0"
            + " | thresholdLearningRateFactor (-1.0) must be at least 0 and fit into a float",
        "1 | 8 | SGD | 0.1 | 0.9 | 0 | Infinity | 0"
            + " | thresholdLearningRateFactor (Infinity) must be at least 0 and fit into a float",
        "1 | 8 | SGD | 0.1 | 0.9 | 0 | 1 | -0.5"
            + " | thresholdWeightDecay (-0.5) must be at least 0 and fit into a float",
        "1 | 8 | SGD | 0.1 | 0.9 | 0 | 1 | NaN"
            + " | thresholdWeightDecay (NaN) must be at least 0 and fit into a float"
      })
  void aValueOutOfRangeIsOneSentence(
      int epochs,
      int batchSize,
      OptimizerType optimizer,
      double rate,
      double momentum,
      double decay,
      double factor,
      double thresholdDecay,
      String sentence) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () ->
                new TrainerOptions(
                    epochs,
                    batchSize,
                    optimizer,
                    rate,
                    momentum,
                    decay,
                    factor,
                    thresholdDecay,
                    LearningRateSchedule.CONSTANT,
                    0));
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }

  @Test
  void sgdMayGoWithoutMomentum() {
    assertEquals(
        0,
        new TrainerOptions(
                1, 8, OptimizerType.SGD, 0.1, 0, 0, 1, 0, LearningRateSchedule.CONSTANT, 0)
            .momentum());
  }
}
