package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import io.github.actclip.testing.RandomCases;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EarlyStoppingTest {

  @Test
  void itIsOverWhenTheLastEpochsAreNotBelowTheLeastBeforeThem() {
    RandomCases.check(
        1_000,
        random -> {
          List<Integer> losses = random.ints(random.nextInt(1, 13), 0, 6).boxed().toList();
          assertIsOverAsDefined(losses, random.nextInt(1, 7));
        });
  }

  private static void assertIsOverAsDefined(List<Integer> losses, int patience) {
    int before = losses.size() - patience;
    boolean over =
        before > 0
            && Collections.min(losses.subList(before, losses.size()))
                >= Collections.min(losses.subList(0, before));
    double[] values = losses.stream().mapToDouble(Integer::doubleValue).toArray();
    assertEquals(over, new EarlyStopping(patience, 0).isOver(losses(values)));
  }

  @ParameterizedTest
  @CsvSource({
    // loss, less, less: by how much at least to be better, and whether two epochs were not
    "1, 0.9, 0.8, 0.05, false",
    "1, 0.9, 0.8, 0.15, false", // 0.8 is better than 1 by more than 0.15
    "1, 0.9, 0.8, 0.25, true",
    "1, 0.75, 0.75, 0.25, true", // not by more than that
  })
  void lessThanTheLeastImprovementIsNone(
      double first, double second, double third, double minDelta, boolean over) {
    assertEquals(over, new EarlyStopping(2, minDelta).isOver(losses(first, second, third)));
  }

  @Test
  void withoutAnEpochItIsNotOver() {
    assertFalse(new EarlyStopping(1, 0).isOver(List.of()));
  }

  @Test
  void aTrainingThatGetsNoBetterEndsThereAndSaysWhy() {
    LibTorch.load();
    // By less than 100 nats no epoch is better than the first.
    EarlyStopping stopping = new EarlyStopping(2, 100);
    List<EpochMetrics> epochs = new ArrayList<>();
    try (LogCapture log = new LogCapture(EarlyStopping.class)) {
      TensorScope.run(() -> epochs.addAll(ShortTraining.fit(9, stopping)));
      assertEquals(3, epochs.size());
      String line = log.lines().get(0);
      assertEquals(
          "INFO The training ends early: the test loss was best, "
              + (float) epochs.get(0).testLoss()
              + ", after epoch 1, and is "
              + (float) epochs.get(2).testLoss()
              + " after epoch 3",
          line);
      assertEquals(1, log.lines().size());
    }
  }

  @Test
  void oneThatGoesOnFromThereEndsAtOnce() {
    LibTorch.load();
    EarlyStopping stopping = new EarlyStopping(2, 100);
    TrainingListener goesOn =
        new TrainingListener() {
          @Override
          public void onEpoch(Training training, EpochMetrics metrics) {
            if (metrics.epoch() == 4) {
              stopping.onStart(training);
            }
          }
        };
    TensorScope.run(() -> assertEquals(4, ShortTraining.fit(9, goesOn).size()));
  }

  @Test
  void aTrainingThatIsCompleteWasNotEndedEarly() {
    LibTorch.load();
    List<Boolean> stopping = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onEnd(Training training) {
            stopping.add(training.isStopping());
          }
        };
    try (LogCapture log = new LogCapture(EarlyStopping.class)) {
      TensorScope.run(() -> ShortTraining.fit(2, new EarlyStopping(1, 100), listener));
      assertEquals(List.of(false), stopping);
      assertEquals(List.of(), log.lines());
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.1, Double.NaN, Double.POSITIVE_INFINITY})
  void aMinDeltaOutOfRangeIsOneSentence(double minDelta) {
    ActclipException e = assertThrows(ActclipException.class, () -> new EarlyStopping(1, minDelta));
    assertEquals("minDelta (" + minDelta + ") must be finite and at least 0", e.getMessage());
    assertTrue(e.isBadInput());
  }

  @Test
  void aPatienceOutOfRangeIsOneSentence() {
    ActclipException e = assertThrows(ActclipException.class, () -> new EarlyStopping(0, 0));
    assertEquals("patience (0) must be at least 1", e.getMessage());
    assertTrue(e.isBadInput());
  }

  private static List<Double> losses(double... values) {
    return Arrays.stream(values).boxed().toList();
  }
}
