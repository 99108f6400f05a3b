package io.github.actclip.samples.benchmark;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.util.List;
import org.bytedeco.pytorch.Device;

/** The steps of a {@link Trainer}, with their data and bookkeeping; its tests are not counted. */
final class TrainingContestant implements Contestant {

  private static final ImageDataset TRAIN = ImageDataset.embedded(Split.TRAIN);
  private static final ImageDataset TEST = ImageDataset.embedded(Split.TEST);

  /** Memory that the training before gave back at its end is new to the first steps. */
  static final int LEAST_STEPS = 30;

  private final Net net = new Net();
  private final TrainerOptions options;
  private final Device device;

  /** Belongs to the caller's scope. */
  TrainingContestant(BenchmarkCase in, Device device) {
    this.device = device;
    options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(Integer.MAX_VALUE) // It is stopped.
            .batchSize(in.size())
            .precision(in.precision())
            .build();
  }

  @Override
  public String name() {
    return "actclip";
  }

  @Override
  public double measure(int passes) {
    int full = Math.max(1, TRAIN.size() / options.batchSize()); // an epoch's last batch may be less
    StopAfter steps = new StopAfter(Math.min(full, Math.max(passes, LEAST_STEPS)));
    Trainer trainer = new Trainer(net, options, device).with(steps);
    List<EpochMetrics> epochs = trainer.fit(TRAIN, TEST);
    double seconds = epochs.stream().mapToDouble(epoch -> epoch.seconds().total()).sum();
    return seconds * 1e3 / trainer.steps();
  }

  private record StopAfter(int steps) implements TrainingListener {

    @Override
    public void onStep(Training training) {
      if (training.step() >= steps) {
        training.stop();
      }
    }
  }
}
