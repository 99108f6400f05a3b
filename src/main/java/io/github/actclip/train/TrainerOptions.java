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
 * @param weightDecay at least 0; on every parameter but the thresholds
 * @param thresholdLearningRateFactor at least 0; the thresholds' learning rate is this times that
 *     of the weights, at every step; 1 by default
 * @param thresholdWeightDecay at least 0; on the thresholds, {@code act_max} among them; by default
 *     the same as on the weights. It is what makes a threshold come down: a clip alone gives the
 *     loss little reason to (PACT, arXiv 1805.06085, section 3.1)
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
    double thresholdLearningRateFactor,
    double thresholdWeightDecay,
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
    requireNotNegative("weightDecay", weightDecay);
    requireNotNegative("thresholdLearningRateFactor", thresholdLearningRateFactor);
    requireNotNegative("thresholdWeightDecay", thresholdWeightDecay);
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
        1,
        optimizer.defaultWeightDecay(),
        LearningRateSchedule.ONE_CYCLE,
        0);
  }

  /**
   * The same, but for the thresholds.
   *
   * @throws ActclipException when a value is out of range
   */
  public TrainerOptions withThresholds(double learningRateFactor, double decay) {
    return new TrainerOptions(
        epochs,
        batchSize,
        optimizer,
        learningRate,
        momentum,
        weightDecay,
        learningRateFactor,
        decay,
        schedule,
        seed);
  }

  /** Whether the thresholds learn otherwise than the weights. */
  boolean setsThresholdsApart() {
    return thresholdLearningRateFactor != 1 || thresholdWeightDecay != weightDecay;
  }

  private static void requireNotNegative(String name, double value) {
    if (!(value >= 0 && value <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "%s (%s) must be at least 0 and fit into a float", name, value);
    }
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw ActclipException.badInput("%s (%d) must be at least 1", name, value);
    }
  }
}
