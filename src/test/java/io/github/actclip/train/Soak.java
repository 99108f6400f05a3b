package io.github.actclip.train;

import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.TestData;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
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
    train(folder, device);
    train(folder, device);
    Net net = new Net();
    StateDict.load(net, StateDict.read(folder.resolve(Run.MODEL)));
    Evaluator.evaluate(net, IMAGES, device);
  }

  /** Begins, or goes on from where it was stopped. */
  private static void train(Path folder, Device device) {
    TrainingListener stopper =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            if (training.step() % STOPPED_AFTER == 0) {
              training.stop();
            }
          }
        };
    try (Run run = Run.in(folder).checkpoints(CHECKPOINTS).tensorBoard()) {
      new Trainer(new Net(), OPTIONS, device).with(stopper, run).fit(IMAGES, IMAGES);
    }
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
