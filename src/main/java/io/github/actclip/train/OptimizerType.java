package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import java.util.Locale;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.TensorVector;

/** LibTorch's optimizers that a {@link Trainer} can use. */
public enum OptimizerType {
  /** Stochastic gradient descent, with Nesterov's momentum when the momentum is above 0. */
  SGD(0.05, 0.9, 5e-4) {
    @Override
    Optimizer make(TensorVector parameters, TrainerOptions options) {
      SGDOptions sgd = new SGDOptions(options.learningRate());
      sgd.momentum().put(options.momentum());
      sgd.nesterov().put(options.momentum() > 0);
      sgd.weight_decay().put(options.weightDecay());
      return new SGD(parameters, sgd);
    }
  },
  /** Adam (arXiv 1412.6980); the weight decay is an L2 penalty. */
  ADAM(0.002, OptimizerType.ADAM_BETA1, 0) {
    @Override
    Optimizer make(TensorVector parameters, TrainerOptions options) {
      AdamOptions adam = new AdamOptions(options.learningRate());
      adam.weight_decay().put(options.weightDecay());
      return new Adam(parameters, adam);
    }
  },
  /** Adam with decoupled weight decay (arXiv 1711.05101). */
  ADAMW(0.002, OptimizerType.ADAM_BETA1, 0.01) {
    @Override
    Optimizer make(TensorVector parameters, TrainerOptions options) {
      AdamWOptions adamw = new AdamWOptions(options.learningRate());
      adamw.weight_decay().put(options.weightDecay());
      return new AdamW(parameters, adamw);
    }
  };

  private static final double ADAM_BETA1 = 0.9;

  private final double learningRate;
  private final double momentum;
  private final double weightDecay;

  OptimizerType(double learningRate, double momentum, double weightDecay) {
    this.learningRate = learningRate;
    this.momentum = momentum;
    this.weightDecay = weightDecay;
  }

  /** The learning rate (with one cycle: its peak) that suits {@code Net}. */
  public double defaultLearningRate() {
    return learningRate;
  }

  /** The momentum that suits {@code Net}; Adam's first beta, which is fixed. */
  public double defaultMomentum() {
    return momentum;
  }

  /** The weight decay that suits {@code Net}. */
  public double defaultWeightDecay() {
    return weightDecay;
  }

  /**
   * Makes the optimizer; the caller's scope owns it.
   *
   * @param parameters what it updates
   */
  public Optimizer create(TensorVector parameters, TrainerOptions options) {
    return make(parameters, options);
  }

  abstract Optimizer make(TensorVector parameters, TrainerOptions options);

  void requireMomentum(double value) {
    if (value < 0 || value >= 1 || Double.isNaN(value)) {
      throw ActclipException.badInput("the momentum (%s) must be at least 0 and below 1", value);
    }
    if (this != SGD && value != momentum) {
      throw ActclipException.badInput(
          "the momentum (%s) is an option of sgd: %s always uses %s",
          value, name().toLowerCase(Locale.ROOT), momentum);
    }
  }
}
