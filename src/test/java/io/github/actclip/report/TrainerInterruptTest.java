package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.ShortTraining;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A thread that trains is interrupted. */
class TrainerInterruptTest {

  static {
    LibTorch.load();
  }

  @TempDir Path folder;
  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(29);
  }

  @AfterEach
  void close() {
    assertFalse(Thread.interrupted(), "a test left its thread interrupted");
    scope.close();
  }

  /** Interrupts its own thread where it is told to. */
  private record Interrupter(String when) implements TrainingListener {

    @Override
    public void onStart(Training training) {
      interrupt("start");
    }

    @Override
    public void onStep(Training training) {
      interrupt("step " + training.step());
    }

    @Override
    public void onEpoch(Training training, EpochMetrics metrics) {
      interrupt("epoch " + metrics.epoch());
    }

    private void interrupt(String now) {
      if (now.equals(when)) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"before, 0", "start, 0", "step 5, 6", "epoch 1, 16"})
  void anInterruptStopsAfterTheStepWithAWholeCheckpoint(String when, long steps) {
    Path run = folder.resolve("run");
    List<EpochMetrics> epochs = new ArrayList<>();
    if (when.equals("before")) {
      Thread.currentThread().interrupt();
    }
    Trainer trainer = train(run, new Interrupter(when), options(), epochs);
    assertTrue(Thread.currentThread().isInterrupted());
    assertTrue(trainer.isStopped());
    assertEquals(steps, trainer.steps());

    // Reading goes on with the interrupt, as did writing.
    assertEquals(steps, Run.newest(run).step());
    assertEquals(steps > 0, !StepLog.read(run).isEmpty());
    assertEquals(steps > 0, Files.exists(run.resolve(Run.REPORT)));
    if (steps > 0) {
      assertEquals(1, epochs.size());
      assertEquals(epochs.get(0), RunSummary.read(run).last());
      assertEquals(
          epochs.get(0).thresholds().get("act_max").threshold(),
          StateDict.read(run.resolve(Run.MODEL)).get("act_max").item_float());
    }
    assertTrue(Thread.interrupted(), "a file took the interrupt away");

    Trainer resumed = train(run, new TrainingListener() {}, options(), new ArrayList<>());
    assertFalse(resumed.isStopped());
  }

  /** In a step, while data is loaded, while files are written, or in the test. */
  @Test
  void anInterruptAtAnyMomentStopsATraining() throws Exception {
    ExecutorService executor = Executors.newSingleThreadExecutor();
    try {
      for (int millis = 0; millis < 120; millis += 20) {
        Path run = folder.resolve("run" + millis);
        CountDownLatch begun = new CountDownLatch(1);
        TrainingListener opener =
            new TrainingListener() {
              @Override
              public void onStart(Training training) {
                begun.countDown();
              }
            };
        AtomicReference<Trainer> trainer = new AtomicReference<>();
        AtomicReference<Boolean> interrupted = new AtomicReference<>();
        TrainerOptions endless = ShortTraining.options(100_000, 0.05);
        Future<?> training =
            executor.submit(
                () ->
                    TensorScope.run(
                        () -> {
                          trainer.set(train(run, opener, endless, new ArrayList<>()));
                          interrupted.set(Thread.currentThread().isInterrupted());
                        }));
        assertTrue(begun.await(1, TimeUnit.MINUTES));
        TimeUnit.MILLISECONDS.sleep(millis);
        training.cancel(true);
        executor.submit(() -> {}).get(1, TimeUnit.MINUTES); // after it
        assertTrue(trainer.get().isStopped());
        assertTrue(interrupted.get());
        assertEquals(trainer.get().steps(), Run.newest(run).step());
      }
    } finally {
      executor.shutdown();
    }
  }

  @Test
  void anInterruptInTheLastStepHarmsNothing() {
    Path run = folder.resolve("run");
    Trainer trainer = train(run, new Interrupter("step 32"), options(), new ArrayList<>());
    assertTrue(Thread.interrupted());
    assertFalse(trainer.isStopped());
    assertEquals(32, Run.newest(run).step());
  }

  @ParameterizedTest
  @ValueSource(strings = {"TRAIN", "TEST"})
  void imagesAreReadOnAnInterruptedThread(Split split) {
    ImageDataset expected = ImageDataset.embedded(split);
    Thread.currentThread().interrupt();
    try {
      assertEquals(expected.checksum(), ImageDataset.embedded(split).checksum());
    } finally {
      assertTrue(Thread.interrupted());
    }
  }

  /** With everything that writes; nothing of it may warn. */
  private static Trainer train(
      Path folder, TrainingListener first, TrainerOptions options, List<EpochMetrics> epochs) {
    try (Run run = Run.in(folder).tensorBoard();
        LogCapture results = new LogCapture(Run.class.getPackageName());
        LogCapture checkpoints = new LogCapture(Checkpointer.class)) {
      Trainer trainer = new Trainer(new Net(), options, Devices.of("cpu")).with(first, run);
      epochs.addAll(trainer.fit(ShortTraining.IMAGES, ShortTraining.IMAGES));
      assertEquals(List.of(), results.lines());
      assertEquals(List.of(), checkpoints.lines());
      return trainer;
    }
  }

  private static TrainerOptions options() {
    return ShortTraining.options(2, 0.05);
  }
}
