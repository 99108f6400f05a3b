package io.github.actclip.report;

import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.data.CsvDataset;
import io.github.actclip.data.CsvOptions;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.TensorDataset;
import io.github.actclip.data.Transform;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.testing.OwnNetwork;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Trains one of {@link OwnNetwork} in a folder, or goes on there; also as a program. */
final class OwnTraining {

  static final int EPOCHS = 30;
  private static final int SAMPLES = 64;
  private static final int FEATURES = 4;

  private static final long WAIT_NANOS = 10_000_000;

  /** Checkpoints at steps that are the ends of no epochs, too. */
  private static final CheckpointOptions OFTEN = new CheckpointOptions(3, Duration.ofHours(1), 2);

  private OwnTraining() {}

  /** Takes the kind of the network, and the folder. Waits a little after each step. */
  public static void main(String[] args) {
    LibTorch.load();
    TrainingListener waiting =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            LockSupport.parkNanos(WAIT_NANOS);
          }
        };
    fit(OwnNetwork.valueOf(args[0]), Path.of(args[1]), EPOCHS, waiting);
  }

  /** Always of the same data. */
  static List<EpochMetrics> fit(
      OwnNetwork kind, Path folder, int epochs, TrainingListener... listeners) {
    Network network = kind.make();
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(epochs)
            .batchSize(16)
            .accumulation(2)
            .learningRate(0.02)
            .build();
    try (Run run = Run.in(folder).checkpoints(OFTEN)) {
      Dataset samples = samples(kind, folder.resolveSibling("samples.csv"));
      Dataset noisy = samples.transformed(new Noise());
      return new Trainer(network, options, Devices.of("cpu"))
          .loss(kind.loss, kind.metric)
          .with(listeners)
          .with(run)
          .fit(noisy, samples);
    }
  }

  /** Of the regression, from a file. */
  private static Dataset samples(OwnNetwork kind, Path file) {
    torch.manual_seed(2);
    try (Tensor data = kind.data(SAMPLES);
        Tensor target = kind.target(SAMPLES)) {
      if (kind != OwnNetwork.MLP) {
        return new TensorDataset("noise", data, target);
      }
      AtomicFile.writeString(file, table(TensorNumbers.of(data), TensorNumbers.of(target)));
      return CsvDataset.read(file, CsvOptions.number("y"));
    }
  }

  private static String table(double[] features, double[] targets) {
    StringBuilder rows = new StringBuilder("a,b,c,d,y\n");
    for (int i = 0; i < targets.length; i++) {
      for (int j = 0; j < FEATURES; j++) {
        rows.append(features[i * FEATURES + j]).append(',');
      }
      rows.append(targets[i]).append('\n');
    }
    return rows.toString();
  }

  /** Some chance that a training which goes on has to draw again. */
  private record Noise() implements Transform {

    @Override
    public Tensor apply(Tensor data, long[] seeds) {
      for (int i = 0; i < seeds.length; i++) {
        double by = new java.util.Random(seeds[i]).nextGaussian();
        data.select(0, i).add_(new org.bytedeco.pytorch.Scalar(0.1 * by));
      }
      return data;
    }
  }
}
