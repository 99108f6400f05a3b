package io.github.actclip.train;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.TestData;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/** Trainings on a few images; always the same one. */
public final class ShortTraining {

  public static final ImageDataset IMAGES = TestData.first(250);
  public static final int STEPS_PER_EPOCH = 16;

  private ShortTraining() {}

  public static List<EpochMetrics> fit(int epochs, TrainingListener... listeners) {
    torch.manual_seed(3);
    return fit(new Net(), options(epochs, 0.05), listeners);
  }

  public static List<EpochMetrics> fit(
      Net net, TrainerOptions options, TrainingListener... listeners) {
    return new Trainer(net, options, Devices.of("cpu")).with(listeners).fit(IMAGES, IMAGES);
  }

  public static TrainerOptions options(int epochs, double learningRate) {
    return TrainerOptions.builder(OptimizerType.SGD)
        .epochs(epochs)
        .batchSize(16)
        .learningRate(learningRate)
        .weightDecay(0)
        .thresholdWeightDecay(0)
        .schedule(LearningRateSchedule.of(LearningRateSchedule.Type.CONSTANT))
        .seed(5)
        .build();
  }

  /** Ends a training after that step. */
  public static TrainingListener stopAfter(long step) {
    return new TrainingListener() {
      @Override
      public void onStep(Training training) {
        if (training.step() == step) {
          training.stop();
        }
      }
    };
  }

  /** Makes a listener hear a training as one that goes on from a checkpoint of that step. */
  public static TrainingListener from(long step, TrainingListener listener) {
    return new TrainingListener() {
      @Override
      public void onStep(Training training) {
        if (training.step() == step) {
          listener.onStart(training);
        } else if (training.step() > step) {
          listener.onStep(training);
        }
      }

      @Override
      public void onEpoch(Training training, EpochMetrics metrics) {
        if (training.step() > step) {
          listener.onEpoch(training, metrics);
        }
      }
    };
  }
}
