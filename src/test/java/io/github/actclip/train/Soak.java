package io.github.actclip.train;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.TestData;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.RunDirectory;
import io.github.actclip.report.RunSummary;
import io.github.actclip.report.StepLog;
import io.github.actclip.report.TensorBoardListener;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;

/**
 * Trains, stops, resumes, saves, evaluates and reloads for some time, again and again, and prints a
 * line a round: resident memory in KiB, open file descriptors.
 */
public final class Soak {

  private static final ImageDataset IMAGES = TestData.first(500);
  private static final TrainerOptions OPTIONS =
      TrainerOptions.builder(OptimizerType.ADAMW).batchSize(32).build().withThresholds(0.5, 0.001);
  private static final int STOPPED_AFTER = 10;

  /** So many on a slow machine, too: of a few rounds there is nothing to say. */
  private static final int LEAST_ROUNDS = 8;

  private static final CheckpointOptions CHECKPOINTS =
      new CheckpointOptions(7, Duration.ofHours(1), 2);

  private Soak() {}

  /** Takes a folder and a number of seconds. */
  public static void main(String[] args) throws IOException {
    Path folder = Path.of(args[0]);
    long end = System.nanoTime() + Duration.ofSeconds(Long.parseLong(args[1])).toNanos();
    for (int done = 0; done < LEAST_ROUNDS || System.nanoTime() < end; done++) {
      TensorScope.run(() -> round(folder.resolve("run")));
      delete(folder.resolve("run"));
      KernelLibrary.releaseFreedMemory(); // It is not in use, and how much is kept varies.
      System.out.println("round " + Pointer.physicalBytes() / 1024 + " " + openFiles());
    }
  }

  private static void round(Path folder) {
    Device device = Devices.of("cpu");
    RunDirectory directory = RunDirectory.create(folder);
    train(directory, new Net(), device, null);
    Checkpoint checkpoint = Checkpoint.newest(directory.checkpoints()).orElseThrow();
    train(directory, checkpoint.net(), device, checkpoint);
    Evaluator.evaluate(RunDirectory.open(folder).loadNet(), IMAGES, device);
  }

  private static void train(RunDirectory directory, Net net, Device device, Checkpoint checkpoint) {
    TrainingListener stopper =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            if (training.step() % STOPPED_AFTER == 0) {
              training.stop();
            }
          }
        };
    try (Checkpointer checkpointer = new Checkpointer(directory.checkpoints(), CHECKPOINTS);
        StepLog steps = new StepLog(directory.folder());
        TensorBoardListener board = new TensorBoardListener(directory.folder())) {
      TrainingListener recorder = directory.recorder(net, last -> summary(net, last));
      Trainer trainer =
          new Trainer(net, OPTIONS, device, List.of(stopper, recorder, steps, board, checkpointer));
      List<EpochMetrics> epochs =
          checkpoint == null
              ? trainer.fit(IMAGES, IMAGES)
              : trainer.resume(checkpoint::restore, IMAGES, IMAGES);
      directory.finish(summary(net, epochs.get(epochs.size() - 1)), epochs);
    }
  }

  private static RunSummary summary(Net net, EpochMetrics last) {
    return new RunSummary(
        IMAGES.source(),
        IMAGES.name(),
        IMAGES.size(),
        IMAGES.size(),
        "cpu",
        net.options(),
        OPTIONS,
        RuntimeInfo.current(),
        true,
        last);
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static long openFiles() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    }
  }
}
