package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
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
    RunDirectory directory = RunDirectory.create(folder.resolve("run"));
    List<EpochMetrics> epochs = new ArrayList<>();
    if (when.equals("before")) {
      Thread.currentThread().interrupt();
    }
    Trainer trainer = train(directory, new Interrupter(when), options(), epochs);
    assertTrue(Thread.currentThread().isInterrupted());
    assertTrue(trainer.isStopped());
    assertEquals(steps, trainer.steps());

    // Reading and writing go on with the interrupt.
    Checkpoint checkpoint = Checkpoint.newest(directory.checkpoints()).orElseThrow();
    assertEquals(steps, checkpoint.step());
    assertEquals(steps > 0, !StepLog.read(directory.folder()).isEmpty());
    if (steps > 0) {
      directory.finish(ReportData.summary("images", epochs), epochs);
      assertTrue(Files.exists(directory.folder().resolve(RunDirectory.REPORT)));
      assertEquals(1, epochs.size());
      assertEquals(steps, directory.loadSummary().last().step());
      assertEquals(epochs.get(0).actMax(), directory.loadNet().threshold());
    }
    assertTrue(Thread.interrupted(), "a file took the interrupt away");

    Trainer resumed = new Trainer(checkpoint.net(), options(), Devices.of("cpu"), List.of());
    resumed.resume(checkpoint::restore, ShortTraining.IMAGES, ShortTraining.IMAGES);
    assertFalse(resumed.isStopped());
  }

  /** In a step, while data is loaded, while files are written, or in the test. */
  @Test
  void anInterruptAtAnyMomentStopsATraining() throws Exception {
    ExecutorService executor = Executors.newSingleThreadExecutor();
    try {
      for (int millis = 0; millis < 120; millis += 20) {
        RunDirectory directory = RunDirectory.create(folder.resolve("run" + millis));
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
                          trainer.set(train(directory, opener, endless, new ArrayList<>()));
                          interrupted.set(Thread.currentThread().isInterrupted());
                        }));
        assertTrue(begun.await(1, TimeUnit.MINUTES));
        TimeUnit.MILLISECONDS.sleep(millis);
        training.cancel(true);
        executor.submit(() -> {}).get(1, TimeUnit.MINUTES); // after it
        assertTrue(trainer.get().isStopped());
        assertTrue(interrupted.get());
        Checkpoint newest = Checkpoint.newest(directory.checkpoints()).orElseThrow();
        assertEquals(trainer.get().steps(), newest.step());
      }
    } finally {
      executor.shutdown();
    }
  }

  @Test
  void anInterruptInTheLastStepHarmsNothing() {
    RunDirectory directory = RunDirectory.create(folder.resolve("run"));
    Trainer trainer = train(directory, new Interrupter("step 32"), options(), new ArrayList<>());
    assertTrue(Thread.interrupted());
    assertFalse(trainer.isStopped());
    assertEquals(32, Checkpoint.newest(directory.checkpoints()).orElseThrow().step());
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

  /** With every listener that writes; none of them may warn. */
  private static Trainer train(
      RunDirectory directory,
      TrainingListener first,
      TrainerOptions options,
      List<EpochMetrics> epochs) {
    Net net = new Net();
    try (StepLog steps = new StepLog(directory.folder());
        TensorBoardListener board = new TensorBoardListener(directory.folder());
        Checkpointer checkpointer =
            new Checkpointer(directory.checkpoints(), CheckpointOptions.defaults());
        LogCapture records = new LogCapture(RecordFile.class);
        LogCapture results = new LogCapture(RunDirectory.class);
        LogCapture checkpoints = new LogCapture(Checkpointer.class)) {
      TrainingListener recorder =
          directory.recorder(net, last -> ReportData.summary("images", List.of(last)));
      Trainer trainer =
          new Trainer(
              net,
              options,
              Devices.of("cpu"),
              List.of(first, recorder, steps, board, checkpointer));
      epochs.addAll(trainer.fit(ShortTraining.IMAGES, ShortTraining.IMAGES));
      assertEquals(List.of(), records.lines());
      assertEquals(List.of(), results.lines());
      assertEquals(List.of(), checkpoints.lines());
      return trainer;
    }
  }

  private static TrainerOptions options() {
    return ShortTraining.options(2, 0.05);
  }
}
