package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.Json;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.ShortTraining;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StepLogTest {

  static {
    LibTorch.load();
  }

  @TempDir Path folder;
  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void theFirstEveryTenthAndTheLastStepAreReadAsTheyWere() {
    Map<Long, StepMetrics> seen = new HashMap<>();
    TrainingListener watcher =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            seen.put(training.step(), training.stepMetrics());
          }
        };
    try (StepLog log = new StepLog(folder)) {
      ShortTraining.fit(2, watcher, log);
    }
    List<StepMetrics> read = StepLog.read(folder);
    assertEquals(List.of(1L, 10L, 20L, 30L, 32L), read.stream().map(StepMetrics::step).toList());
    read.forEach(metrics -> assertEquals(seen.get(metrics.step()), metrics));
    assertNotEquals(0, read.get(4).gradients().get("act_max").get(0));
    assertNotEquals(read.get(0).thresholds(), read.get(4).thresholds());
  }

  @Test
  void theStepInWhichItWasStoppedIsTheLast() {
    try (StepLog log = new StepLog(folder)) {
      ShortTraining.fit(1, ShortTraining.stopAfter(13), log);
    }
    assertEquals(
        List.of(1L, 10L, 13L), StepLog.read(folder).stream().map(StepMetrics::step).toList());
  }

  @Test
  void aStepsMetricsAreThereInTheStepOnly() {
    List<String> refusals = new ArrayList<>();
    TrainingListener early =
        new TrainingListener() {
          @Override
          public void onStart(Training training) {
            ask(training);
          }

          @Override
          public void onEpoch(Training training, EpochMetrics metrics) {
            ask(training);
          }

          private void ask(Training training) {
            refusals.add(assertThrows(ActclipException.class, training::stepMetrics).getMessage());
          }
        };
    ShortTraining.fit(1, early);
    assertEquals(2, refusals.size());
    refusals.forEach(refusal -> assertTrue(refusal.contains("in onStep only"), refusal));
  }

  @Test
  void everyLineIsInTheFileAsSoonAsItsStepIsDone() {
    List<Integer> lines = new ArrayList<>();
    TrainingListener reader =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            lines.add(StepLog.read(folder).size());
          }
        };
    try (StepLog log = new StepLog(folder)) {
      ShortTraining.fit(1, log, reader);
    }
    assertEquals(List.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3), lines);
  }

  @Test
  void aTrainingThatGoesOnLeavesTheFileOfOneThatWasNeverInterrupted() throws IOException {
    Path file = folder.resolve("steps.jsonl");
    try (StepLog log = new StepLog(folder)) {
      ShortTraining.fit(2, log);
    }
    byte[] straight = Files.readAllBytes(file);
    tear(file);
    try (StepLog log = new StepLog(folder);
        LogCapture warnings = new LogCapture(StepLog.class)) {
      ShortTraining.fit(2, ShortTraining.from(12, log));
      assertEquals(1, warnings.lines().size(), warnings.lines().toString());
    }
    assertEquals(new String(straight, StandardCharsets.UTF_8), Files.readString(file));
  }

  @Test
  void aNewTrainingBeginsItsFileAnew() {
    try (StepLog log = new StepLog(folder)) {
      ShortTraining.fit(1, log);
      ShortTraining.fit(1, log);
    }
    assertEquals(3, StepLog.read(folder).size());
  }

  @Test
  void aTornLineIsLeftOutWithAWarning() throws IOException {
    StepMetrics whole =
        new StepMetrics(1, 0.1, Double.NaN, Map.of("act_max", List.of(1.5)), Map.of());
    Path file = folder.resolve("steps.jsonl");
    Files.writeString(file, Json.line(whole) + "\n");
    tear(file);
    try (LogCapture log = new LogCapture(StepLog.class)) {
      assertEquals(List.of(whole), StepLog.read(folder));
      assertEquals(1, log.lines().size());
      assertTrue(
          log.lines().get(0).startsWith("WARN " + file + " is left out from line 2 on: "),
          log.lines().get(0));
    }
  }

  @Test
  void withoutAFileThereAreNoSteps() {
    assertEquals(List.of(), StepLog.read(folder));
  }

  @Test
  void aFileThatCannotBeReadIsOneSentence() throws IOException {
    Files.createDirectory(folder.resolve("steps.jsonl"));
    ActclipException e = assertThrows(ActclipException.class, () -> StepLog.read(folder));
    assertTrue(
        e.getMessage().startsWith(folder.resolve("steps.jsonl") + " cannot be read: "),
        e.getMessage());
  }

  /** As a process that was killed, or a machine that lost its power, may leave it. */
  private static void tear(Path file) throws IOException {
    Files.writeString(file, "{\"step\":33,\"learning_ra", StandardOpenOption.APPEND);
    Files.write(file, new byte[] {0, (byte) 0xff, '\n', '{'}, StandardOpenOption.APPEND);
  }
}
