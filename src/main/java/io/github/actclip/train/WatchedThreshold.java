package io.github.actclip.train;

import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.TensorNumbers;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.IntToLongFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroup;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.Tensor;

/** What a {@link ThresholdWatch} knows of one threshold, and what it finds wrong with it. */
final class WatchedThreshold {

  private static final int MOST_NAMED = 5;

  private final String label;
  private final Threshold threshold;
  private final int patience;
  private final Map<Finding.Reason, Set<Integer>> told = new EnumMap<>(Finding.Reason.class);

  /** Null before its first step. */
  private Movement movement;

  WatchedThreshold(String label, Threshold threshold, int patience) {
    this.label = label;
    this.threshold = threshold;
    this.patience = patience;
  }

  /** Whether it is the first finding with its reason, for one of its channels. */
  boolean isNew(Finding finding) {
    return told.computeIfAbsent(finding.reason(), reason -> new HashSet<>())
        .addAll(finding.channels());
  }

  /**
   * Looks after a step, while its gradients are there; the caller's scope owns what this makes.
   *
   * @param step from 1
   * @return at most one for each reason
   */
  List<Finding> look(long step, List<Optimizer> optimizers) {
    double[] values = TensorNumbers.of(threshold.withoutFloor()); // A floor would hide a collapse.
    List<Integer> finite = channels(c -> Double.isFinite(values[c]));
    List<Finding> findings = new ArrayList<>();
    findings.addAll(
        find(
            Finding.Reason.NOT_FINITE,
            channels(c -> !Double.isFinite(values[c])),
            "is not finite after step %d: a lower learning rate, or a lower"
                + " thresholdLearningRateFactor, may help",
            step));
    if (threshold.isPositive()) {
      findings.addAll(notPositive(step, values, finite));
    }
    if (!finite.isEmpty()) { // What is NaN stays NaN.
      findings.addAll(learning(step, optimizers, finite));
    }
    return findings;
  }

  private List<Finding> notPositive(long step, double[] values, List<Integer> finite) {
    List<Integer> channels = finite.stream().filter(c -> values[c] <= 0).toList();
    double least = channels.stream().mapToDouble(c -> values[c]).min().orElse(0);
    return find(
        Finding.Reason.NOT_POSITIVE,
        channels,
        "is not above 0 after step %d (its least value, without a floor, is %s): a"
            + " parameterization that stays positive, or a lower thresholdLearningRateFactor,"
            + " helps",
        step,
        (float) least);
  }

  private List<Finding> learning(long step, List<Optimizer> optimizers, List<Integer> finite) {
    if (threshold.isFrozen()) {
      movement = null; // It starts anew when it is unfrozen.
      return find(Finding.Reason.FROZEN, finite, "is frozen: that it does not learn is no mistake");
    }
    Optional<OptimizerParamGroup> group = group(optimizers);
    if (group.isEmpty()) {
      return find(
          Finding.Reason.NO_OPTIMIZER,
          finite,
          "is in no parameter group of an optimizer in step %d, and so does not learn: register"
              + " its layer with the module whose parameters the optimizer gets",
          step);
    }
    if (!threshold.parameter().requires_grad()) {
      return find(
          Finding.Reason.NO_GRADIENT,
          finite,
          "gets no gradient in step %d, because its parameter does not require one: call"
              + " unfreeze(), or freeze() if it is meant to stay",
          step);
    }
    Tensor gradient = threshold.parameter().grad();
    if (!gradient.defined()) {
      return find(
          Finding.Reason.NO_GRADIENT,
          finite,
          "got no gradient in step %d: the loss does not depend on its layer, or the layer's output"
              + " was detached or made without gradients",
          step);
    }
    return movement(step, finite, TensorNumbers.of(gradient), group.get().options().get_lr());
  }

  private List<Finding> movement(
      long step, List<Integer> finite, double[] gradients, double learningRate) {
    if (movement == null) {
      movement = new Movement(gradients.length);
    }
    movement.track(step, TensorNumbers.of(threshold.parameter()), gradients);
    List<Integer> still =
        finite.stream().filter(c -> step - movement.stillSince(c) >= patience).toList();
    List<Integer> zero =
        finite.stream()
            .filter(c -> movement.isZero(c) && step - movement.zeroSince(c) >= patience)
            .toList();
    List<Finding> findings = new ArrayList<>();
    // Where rounding moves it, too, a channel without a gradient is one that its layer left dead.
    if (!threshold.isMovedByRounding() || zero.size() == finite.size()) {
      findings.addAll(zeroGradient(step, zero.stream().filter(still::contains).toList()));
      findings.addAll(decayAlone(step, without(zero, still)));
    }
    findings.addAll(still(step, without(still, zero), gradients, learningRate));
    return findings;
  }

  private static List<Integer> without(List<Integer> channels, List<Integer> others) {
    return channels.stream().filter(c -> !others.contains(c)).toList();
  }

  private List<Finding> zeroGradient(long step, List<Integer> channels) {
    return find(
        Finding.Reason.ZERO_GRADIENT,
        channels,
        "has not moved from step %d to step %d, because the gradient that it gets is exactly 0, as"
            + " when no activation is clipped: "
            + cure(),
        latest(channels, movement::stillSince),
        step);
  }

  private List<Finding> decayAlone(long step, List<Integer> channels) {
    return find(
        Finding.Reason.DECAY_ALONE,
        channels,
        "got a gradient of exactly 0 from step %d to step %d, as when no activation is clipped, and"
            + " only weight decay or momentum moves it: a %s start or a calibration saves the way",
        latest(channels, movement::zeroSince),
        step,
        threshold.isPositive() ? "lower" : "nearer");
  }

  private List<Finding> still(
      long step, List<Integer> channels, double[] gradients, double learningRate) {
    return find(
        Finding.Reason.STILL,
        channels,
        "has not moved from step %d to step %d, at a learning rate of %s and a gradient of up to"
            + " %s: a higher learning rate, or a higher thresholdLearningRateFactor, helps",
        latest(channels, movement::stillSince),
        step,
        (float) learningRate,
        (float) channels.stream().mapToDouble(c -> Math.abs(gradients[c])).max().orElse(0));
  }

  /** What moves a threshold that gets no gradient. */
  private String cure() {
    if (!threshold.isPositive()) {
      return "a start nearer to the activations, or a thresholdWeightDecay, helps";
    }
    return threshold.decay() == Threshold.Decay.NONE
        ? "a lower start or a calibration helps; no weight decay reaches it"
        : "a lower start, a calibration, or a thresholdWeightDecay helps";
  }

  private List<Integer> channels(IntPredicate predicate) {
    return IntStream.range(0, Math.toIntExact(threshold.parameter().numel()))
        .filter(predicate)
        .boxed()
        .toList();
  }

  private static long latest(List<Integer> channels, IntToLongFunction since) {
    return channels.stream().mapToLong(since::applyAsLong).max().orElse(0);
  }

  /** None where there are no channels. */
  private List<Finding> find(
      Finding.Reason reason, List<Integer> channels, String predicate, Object... values) {
    if (channels.isEmpty()) {
      return List.of();
    }
    String sentence = "the threshold " + label + where(channels) + " " + predicate;
    return List.of(new Finding(reason, channels, String.format(Locale.ROOT, sentence, values)));
  }

  /** The channels, where they are not all, and their mean value. */
  private String where(List<Integer> channels) {
    double[] values = TensorNumbers.of(threshold.value());
    double mean = channels.stream().mapToDouble(c -> values[c]).average().orElseThrow();
    String which = channels.size() == values.length ? "" : named(channels) + " of " + values.length;
    return which + " (" + (float) mean + ")";
  }

  private static String named(List<Integer> channels) {
    String few =
        channels.stream().limit(MOST_NAMED).map(String::valueOf).collect(Collectors.joining(", "));
    int more = channels.size() - MOST_NAMED;
    return (channels.size() == 1 ? ", channel " : ", channels ")
        + few
        + (more > 0 ? " and " + more + " more" : "");
  }

  private Optional<OptimizerParamGroup> group(List<Optimizer> optimizers) {
    for (Optimizer optimizer : optimizers) {
      OptimizerParamGroupVector groups = optimizer.param_groups();
      for (long i = 0; i < groups.size(); i++) {
        if (threshold.isAmong(groups.get(i).params())) {
          return Optional.of(groups.get(i));
        }
      }
    }
    return Optional.empty();
  }
}
