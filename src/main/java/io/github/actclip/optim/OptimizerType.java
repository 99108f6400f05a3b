package io.github.actclip.optim;

import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.LossClosure;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerOptions;
import org.bytedeco.pytorch.OptimizerParamGroup;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/** LibTorch's optimizers whose thresholds may learn otherwise than weights. */
public enum OptimizerType {
  /** Stochastic gradient descent, with Nesterov's momentum when the momentum is above 0. */
  SGD(0.05, 0.9, 5e-4) {
    @Override
    Optimizer make(TensorVector parameters, OptimizerConfig config, ValueDecay decay) {
      SGDOptions sgd = new SGDOptions(config.learningRate());
      sgd.momentum().put(config.momentum());
      sgd.nesterov().put(config.momentum() > 0);
      sgd.weight_decay().put(config.weightDecay());
      return new SGD(parameters, sgd) {
        @Override
        public Tensor step() {
          return decay.penalized(super::step);
        }

        @Override
        public Tensor step(LossClosure closure) {
          return afterwards(closure, this::step);
        }
      };
    }

    @Override
    DoublePointer weightDecay(OptimizerOptions group) {
      return new SGDOptions(group).weight_decay();
    }
  },
  /** Adam (arXiv 1412.6980); the weight decay is an L2 penalty. */
  ADAM(0.002, OptimizerType.ADAM_BETA1, 0) {
    @Override
    Optimizer make(TensorVector parameters, OptimizerConfig config, ValueDecay decay) {
      AdamOptions adam = new AdamOptions(config.learningRate());
      adam.weight_decay().put(config.weightDecay());
      return new Adam(parameters, adam) {
        @Override
        public Tensor step() {
          return decay.penalized(super::step);
        }

        @Override
        public Tensor step(LossClosure closure) {
          return afterwards(closure, this::step);
        }
      };
    }

    @Override
    DoublePointer weightDecay(OptimizerOptions group) {
      return new AdamOptions(group).weight_decay();
    }
  },
  /** Adam with decoupled weight decay (arXiv 1711.05101). */
  ADAMW(0.002, OptimizerType.ADAM_BETA1, 0.01) {
    @Override
    Optimizer make(TensorVector parameters, OptimizerConfig config, ValueDecay decay) {
      AdamWOptions adamw = new AdamWOptions(config.learningRate());
      adamw.weight_decay().put(config.weightDecay());
      return new AdamW(parameters, adamw) {
        @Override
        public Tensor step() {
          return decay.decoupled(() -> thresholdRate(this), super::step);
        }

        @Override
        public Tensor step(LossClosure closure) {
          return afterwards(closure, this::step);
        }
      };
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
   * Makes an optimizer that treats all parameters as weights: for a module without thresholds. The
   * caller's scope owns it.
   *
   * @param parameters what it updates, of any shapes; one that is there twice counts once
   */
  public Optimizer create(TensorVector parameters, OptimizerConfig config) {
    return create(parameters, List.of(), config);
  }

  /**
   * Makes an optimizer; the caller's scope owns it. Its parameter groups are the weights, then the
   * thresholds when the configuration sets them apart, then the thresholds whose parameter is no
   * measure of their value, such as its logarithm: that group has LibTorch's weight decay 0, and
   * {@code step()} applies the configuration's to the values, or none: see {@link Threshold#decay}.
   *
   * <pre>{@code
   * OptimizerConfig config = OptimizerConfig.defaults(SGD).withThresholds(0.1, 5e-4);
   * Optimizer optimizer = SGD.create(net.parameters(), net.thresholds().values(), config);
   * }</pre>
   *
   * @param parameters what it updates, the thresholds' parameters among them; one that is there
   *     twice, as where a layer has two names, counts once
   * @throws ActclipException when a threshold is not among the parameters, and so would not learn
   */
  public Optimizer create(
      TensorVector parameters, Collection<Threshold> thresholds, OptimizerConfig config) {
    ParameterGroups groups = ParameterGroups.of(parameters, thresholds, config);
    ValueDecay decay = new ValueDecay(groups.decaying(), config.thresholdWeightDecay());
    Optimizer optimizer = make(groups.weights(), config, decay);
    addGroup(optimizer, groups.apart(), config.thresholdWeightDecay());
    addGroup(optimizer, groups.byValue(), 0);
    setLearningRate(optimizer, config.learningRate(), config);
    return optimizer;
  }

  private void addGroup(Optimizer optimizer, TensorVector parameters, double decay) {
    if (!parameters.empty()) {
      // LibTorch gives a group without options a copy of the optimizer's own, of the right subtype.
      optimizer.add_param_group(new OptimizerParamGroup(parameters));
      OptimizerParamGroupVector groups = optimizer.param_groups();
      weightDecay(groups.get(groups.size() - 1).options()).put(decay);
    }
  }

  /**
   * Sets the learning rate of each group of an optimizer that {@link #create(TensorVector,
   * Collection, OptimizerConfig)} made, as a trainer does before each step.
   *
   * @param rate of the weights
   */
  public static void setLearningRate(Optimizer optimizer, double rate, OptimizerConfig config) {
    Arguments.requireOpen("the optimizer", optimizer);
    OptimizerParamGroupVector groups = optimizer.param_groups();
    groups.get(0).options().set_lr(rate);
    for (long i = 1; i < groups.size(); i++) {
      groups.get(i).options().set_lr(rate * config.thresholdLearningRateFactor());
    }
  }

  /** Of the thresholds that decay by their values: they are in the last group. */
  private static double thresholdRate(Optimizer optimizer) {
    OptimizerParamGroupVector groups = optimizer.param_groups();
    return groups.get(groups.size() - 1).options().get_lr();
  }

  /** A step with a closure is the closure, then the step. */
  private static Tensor afterwards(LossClosure closure, Supplier<Tensor> step) {
    Tensor loss = closure.call();
    step.get();
    return loss;
  }

  abstract Optimizer make(TensorVector parameters, OptimizerConfig config, ValueDecay decay);

  /** The weight decay of a group of this optimizer. */
  abstract DoublePointer weightDecay(OptimizerOptions group);

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
