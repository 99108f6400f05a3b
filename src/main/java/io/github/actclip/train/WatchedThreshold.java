package io.github.actclip.train;

import io.github.actclip.nn.Threshold;
import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.apache.logging.log4j.Level;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroup;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What a {@link ThresholdWatch} knows of one threshold, and what it finds wrong with it. */
final class WatchedThreshold {

  private static final long NEVER = -1;

  private final String label;
  private final Threshold threshold;
  private final int patience;
  private final Set<Reason> told = EnumSet.noneOf(Reason.class);
  private double[] last;
  private long stillSince;
  private long zeroSince = NEVER;

  WatchedThreshold(String label, Threshold threshold, int patience) {
    this.label = label;
    this.threshold = threshold;
    this.patience = patience;
  }

  /** Why a threshold is worth a word. */
  enum Reason {
    NOT_FINITE(Level.WARN),
    NOT_POSITIVE(Level.WARN),
    NO_OPTIMIZER(Level.WARN),
    NO_GRADIENT(Level.WARN),
    ZERO_GRADIENT(Level.WARN),
    STILL(Level.WARN),
    /** Weight decay brings it down to the activations in time: not a fault. */
    DECAY_ALONE(Level.WARN),
    /** Somebody wanted it. */
    FROZEN(Level.INFO);

    private final Level level;

    Reason(Level level) {
      this.level = level;
    }

    Level level() {
      return level;
    }

    boolean isFault() {
      return this != DECAY_ALONE && this != FROZEN;
    }
  }

  /** A reason, and the sentence that says it with its values. */
  record Finding(Reason reason, String sentence) {}

  /** Whether it is the first finding with its reason. */
  boolean isNew(Finding finding) {
    return told.add(finding.reason());
  }

  /**
   * Looks after a step, while its gradients are there; the caller's scope owns what this makes.
   *
   * @param step from 1
   */
  List<Finding> look(long step, List<Optimizer> optimizers) {
    List<Finding> findings = new ArrayList<>();
    value(step).ifPresent(findings::add);
    if (findings.stream().noneMatch(f -> f.reason() == Reason.NOT_FINITE)) {
      learning(step, optimizers).ifPresent(findings::add); // What is NaN stays NaN.
    }
    return findings;
  }

  private Optional<Finding> value(long step) {
    double[] values = numbers(threshold.withoutFloor()); // A floor would hide a collapse.
    if (!Arrays.stream(values).allMatch(Double::isFinite)) {
      return find(
          Reason.NOT_FINITE,
          "is not finite after step %d: a lower learning rate, or a lower"
              + " thresholdLearningRateFactor, may help",
          step);
    }
    double least = Arrays.stream(values).min().orElseThrow();
    if (threshold.isPositive() && least <= 0) {
      return find(
          Reason.NOT_POSITIVE,
          "is not above 0 after step %d (its least value, without a floor, is %s): a"
              + " parameterization that stays positive, or a lower thresholdLearningRateFactor,"
              + " helps",
          step,
          (float) least);
    }
    return Optional.empty();
  }

  private Optional<Finding> learning(long step, List<Optimizer> optimizers) {
    if (threshold.isFrozen()) {
      last = null; // It starts anew when it is unfrozen.
      zeroSince = NEVER;
      return find(Reason.FROZEN, "is frozen: that it does not learn is no mistake");
    }
    Optional<OptimizerParamGroup> group = group(optimizers);
    if (group.isEmpty()) {
      return find(
          Reason.NO_OPTIMIZER,
          "is in no parameter group of an optimizer in step %d, and so does not learn: register"
              + " its layer with the module whose parameters the optimizer gets",
          step);
    }
    if (!threshold.parameter().requires_grad()) {
      return find(
          Reason.NO_GRADIENT,
          "gets no gradient in step %d, because its parameter does not require one: call"
              + " unfreeze(), or freeze() if it is meant to stay",
          step);
    }
    Tensor gradient = threshold.parameter().grad();
    if (!gradient.defined()) {
      return find(
          Reason.NO_GRADIENT,
          "got no gradient in step %d: the loss does not depend on its layer, or the layer's output"
              + " was detached or made without gradients",
          step);
    }
    return movement(step, largest(gradient), group.get().options().get_lr());
  }

  private Optional<Finding> movement(long step, double gradient, double learningRate) {
    track(step, gradient);
    boolean isStill = step - stillSince >= patience;
    boolean isZero = zeroSince != NEVER && step - zeroSince >= patience;
    if (isZero && isStill) {
      return find(
          Reason.ZERO_GRADIENT,
          "has not moved from step %d to step %d, because the gradient that it gets is exactly 0, as"
              + " when no activation is clipped: a lower start, a calibration, or a"
              + " thresholdWeightDecay helps",
          stillSince,
          step);
    }
    if (isZero) {
      return find(
          Reason.DECAY_ALONE,
          "got a gradient of exactly 0 from step %d to step %d, as when no activation is clipped, and"
              + " only weight decay moves it: a lower start or a calibration saves the way",
          zeroSince,
          step);
    }
    if (isStill) {
      return find(
          Reason.STILL,
          "has not moved from step %d to step %d, at a learning rate of %s and a gradient of up to"
              + " %s: a higher learning rate, or a higher thresholdLearningRateFactor, helps",
          stillSince,
          step,
          (float) learningRate,
          (float) gradient);
    }
    return Optional.empty();
  }

  private void track(long step, double gradient) {
    double[] now = numbers(threshold.parameter());
    if (!Arrays.equals(now, last)) {
      last = now;
      stillSince = step;
    }
    if (gradient != 0) {
      zeroSince = NEVER;
    } else if (zeroSince == NEVER) {
      zeroSince = step;
    }
  }

  private Optional<Finding> find(Reason reason, String predicate, Object... values) {
    String sentence = "the threshold " + label + " (" + (float) threshold.mean() + ") " + predicate;
    return Optional.of(new Finding(reason, String.format(Locale.ROOT, sentence, values)));
  }

  private Optional<OptimizerParamGroup> group(List<Optimizer> optimizers) {
    for (Optimizer optimizer : optimizers) {
      OptimizerParamGroupVector groups = optimizer.param_groups();
      for (long i = 0; i < groups.size(); i++) {
        if (ParameterGroups.isAmong(threshold, groups.get(i).params())) {
          return Optional.of(groups.get(i));
        }
      }
    }
    return Optional.empty();
  }

  private static double largest(Tensor gradient) {
    return Arrays.stream(numbers(gradient)).map(Math::abs).max().orElseThrow();
  }

  /** The elements of a tensor of any kind; the caller's scope owns what this makes. */
  static double[] numbers(Tensor tensor) {
    DoubleBuffer buffer = tensor.detach().cpu().to(ScalarType.Double).contiguous().createBuffer();
    double[] numbers = new double[buffer.remaining()];
    buffer.get(numbers);
    return numbers;
  }
}
