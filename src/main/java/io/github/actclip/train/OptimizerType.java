package io.github.actclip.train;

import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.Locale;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerOptions;
import org.bytedeco.pytorch.OptimizerParamGroup;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
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

    @Override
    DoublePointer weightDecay(OptimizerOptions group) {
      return new SGDOptions(group).weight_decay();
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

    @Override
    DoublePointer weightDecay(OptimizerOptions group) {
      return new AdamOptions(group).weight_decay();
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

    @Override
    DoublePointer weightDecay(OptimizerOptions group) {
      return new AdamWOptions(group).weight_decay();
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
   * Makes an optimizer that treats all parameters as weights; the caller's scope owns it.
   *
   * @param parameters what it updates, of any shapes
   */
  public Optimizer create(TensorVector parameters, TrainerOptions options) {
    return make(parameters, options);
  }

  /**
   * Makes an optimizer; the caller's scope owns it. It has one parameter group, or two when the
   * options set the thresholds apart: the weights, then the thresholds.
   *
   * <pre>{@code
   * TrainerOptions options = TrainerOptions.defaults(SGD).withThresholds(0.1, 5e-4);
   * Optimizer optimizer = SGD.create(module.parameters(), clip.thresholds(), options);
   * }</pre>
   *
   * @param parameters what it updates, the thresholds' parameters among them
   * @throws ActclipException when a threshold is not among the parameters, and so would not learn
   */
  public Optimizer create(
      TensorVector parameters, List<Threshold> thresholds, TrainerOptions options) {
    thresholds.forEach(threshold -> requireAmong(threshold, parameters));
    if (thresholds.isEmpty() || !options.setsThresholdsApart()) {
      return make(parameters, options);
    }
    TensorVector weights = new TensorVector();
    TensorVector rest = new TensorVector();
    for (long i = 0; i < parameters.size(); i++) {
      Tensor parameter = parameters.get(i);
      boolean isThreshold = thresholds.stream().anyMatch(t -> t.parameter().is_same(parameter));
      (isThreshold ? rest : weights).push_back(parameter);
    }
    Optimizer optimizer = make(weights, options);
    // LibTorch gives a group without options a copy of the optimizer's own, of the right subtype.
    optimizer.add_param_group(new OptimizerParamGroup(rest));
    weightDecay(optimizer.param_groups().get(1).options()).put(options.thresholdWeightDecay());
    setLearningRate(optimizer, options.learningRate(), options);
    return optimizer;
  }

  /**
   * Sets the learning rate of each group of an optimizer that {@link #create(TensorVector, List,
   * TrainerOptions)} made, as a {@link Trainer} does before each step.
   *
   * @param rate of the weights
   */
  public static void setLearningRate(Optimizer optimizer, double rate, TrainerOptions options) {
    OptimizerParamGroupVector groups = optimizer.param_groups();
    groups.get(0).options().set_lr(rate);
    if (groups.size() > 1) {
      groups.get(1).options().set_lr(rate * options.thresholdLearningRateFactor());
    }
  }

  abstract Optimizer make(TensorVector parameters, TrainerOptions options);

  /** The weight decay of a group of this optimizer. */
  abstract DoublePointer weightDecay(OptimizerOptions group);

  /** Whether a threshold's parameter is one of these. */
  static boolean isAmong(Threshold threshold, TensorVector parameters) {
    for (long i = 0; i < parameters.size(); i++) {
      if (threshold.parameter().is_same(parameters.get(i))) {
        return true;
      }
    }
    return false;
  }

  private static void requireAmong(Threshold threshold, TensorVector parameters) {
    if (!isAmong(threshold, parameters)) {
      throw ActclipException.badInput(
          "the threshold %s is not among the %d parameters, and so would not learn: register its"
              + " layer with the module",
          threshold.name(), parameters.size());
    }
  }

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
