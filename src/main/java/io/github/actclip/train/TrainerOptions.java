package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * How a {@link Trainer} trains.
 *
 * @param epochs how often it goes through the images, at least 1
 * @param batchSize images a step, at least 1
 * @param optimizer which of LibTorch's optimizers
 * @param learningRate above 0; with {@link LearningRateSchedule#ONE_CYCLE} the highest
 * @param momentum of SGD, from 0 to below 1; the others always use 0.9
 * @param weightDecay at least 0; on every parameter, {@code act_max} too
 * @param schedule how the learning rate changes
 * @param seed of the order of the images
 */
public record TrainerOptions(
    int epochs,
    int batchSize,
    OptimizerType optimizer,
    double learningRate,
    double momentum,
    double weightDecay,
    LearningRateSchedule schedule,
    long seed) {

  private static final int DEFAULT_EPOCHS = 12;
  private static final int DEFAULT_BATCH_SIZE = 128;

  /**
   * Checks the values.
   *
   * @throws ActclipException naming the first that is out of range
   */
  public TrainerOptions {
    requirePositive("epochs", epochs);
    requirePositive("batchSize", batchSize);
    Objects.requireNonNull(schedule, "schedule");
    if (!(learningRate > 0 && learningRate <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "learningRate (%s) must be above 0 and fit into a float", learningRate);
    }
    optimizer.requireMomentum(momentum);
    if (!(weightDecay >= 0 && weightDecay <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "weightDecay (%s) must be at least 0 and fit into a float", weightDecay);
    }
  }

  /** What suits {@code Net} with this optimizer: 12 epochs of batches of 128, one cycle, seed 0. */
  public static TrainerOptions defaults(OptimizerType optimizer) {
    return new TrainerOptions(
        DEFAULT_EPOCHS,
        DEFAULT_BATCH_SIZE,
        optimizer,
        optimizer.defaultLearningRate(),
        optimizer.defaultMomentum(),
        optimizer.defaultWeightDecay(),
        LearningRateSchedule.ONE_CYCLE,
        0);
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw ActclipException.badInput("%s (%d) must be at least 1", name, value);
    }
  }
}
