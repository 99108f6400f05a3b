package io.github.actclip.optim;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Objects;

/**
 * What an optimizer is made with.
 *
 * @param type which of LibTorch's optimizers
 * @param learningRate above 0; where a schedule changes it, the highest
 * @param momentum of SGD, from 0 to below 1; the others always use 0.9
 * @param weightDecay at least 0; on every parameter but the thresholds
 * @param thresholdLearningRateFactor at least 0; the thresholds' learning rate is this times that
 *     of the weights, at every step
 * @param thresholdWeightDecay at least 0; on the thresholds, {@code act_max} among them. It is what
 *     makes a threshold come down: a clip alone gives the loss little reason to (PACT, arXiv
 *     1805.06085, section 3.1). It pulls the threshold's value towards 0, whatever is stored
 *     ({@link io.github.actclip.nn.Parameterization}), and leaves TQT's alone ({@link
 *     io.github.actclip.nn.QuantizationMethod#TQT})
 */
public record OptimizerConfig(
    OptimizerType type,
    double learningRate,
    double momentum,
    double weightDecay,
    double thresholdLearningRateFactor,
    double thresholdWeightDecay) {

  /**
   * Checks the values.
   *
   * @throws ActclipException naming the first that is out of range
   */
  public OptimizerConfig {
    Objects.requireNonNull(type, "type");
    if (!(learningRate > 0 && learningRate <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "learningRate (%s) must be above 0 and fit into a float", learningRate);
    }
    type.requireMomentum(momentum);
    Arguments.requireNotNegative("weightDecay", weightDecay);
    Arguments.requireNotNegative("thresholdLearningRateFactor", thresholdLearningRateFactor);
    Arguments.requireNotNegative("thresholdWeightDecay", thresholdWeightDecay);
  }

  /** What suits {@code Net} with this optimizer; the thresholds learn as the weights do. */
  public static OptimizerConfig defaults(OptimizerType type) {
    double decay = type.defaultWeightDecay();
    return new OptimizerConfig(
        type, type.defaultLearningRate(), type.defaultMomentum(), decay, 1, decay);
  }

  /**
   * The same with another learning rate.
   *
   * @throws ActclipException when it is out of range
   */
  public OptimizerConfig withLearningRate(double rate) {
    return new OptimizerConfig(
        type, rate, momentum, weightDecay, thresholdLearningRateFactor, thresholdWeightDecay);
  }

  /**
   * The same, but for the thresholds.
   *
   * @throws ActclipException when a value is out of range
   */
  public OptimizerConfig withThresholds(double learningRateFactor, double decay) {
    return new OptimizerConfig(
        type, learningRate, momentum, weightDecay, learningRateFactor, decay);
  }

  /** Whether the thresholds learn otherwise than the weights. */
  boolean setsThresholdsApart() {
    return thresholdLearningRateFactor != 1 || thresholdWeightDecay != weightDecay;
  }
}
