package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.ClipStatistics;
import io.github.actclip.op.Limits;
import java.util.Arrays;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

/** The clips by limits, of x and the thresholds, with a chosen gradient for each threshold. */
final class ClipFunction extends CustomFunction {

  private static final int X = 0;

  // Where the thresholds stand in what ClipOp gives for backward.
  private static final int UPPER = 1;
  private static final int LOWER = 2;
  private static final int VALUE = 3;
  private static final int ALL = 4;

  private final Function<Tensor[], Limits> limits;
  private final int[] places;
  private final ThresholdGradient[] rules;

  private ClipFunction(
      Function<Tensor[], Limits> limits, int[] places, ThresholdGradient... rules) {
    this.limits = limits;
    this.places = places;
    this.rules = rules;
  }

  /** Of (x, t); rectifies first where {@code relu}. */
  static ClipFunction above(boolean relu, ThresholdGradient rule) {
    return new ClipFunction(
        in -> relu ? Limits.rectified(in[1]) : Limits.above(in[1]), new int[] {UPPER}, rule);
  }

  /** Of (x, lo, hi). */
  static ClipFunction between(ThresholdGradient rule) {
    return new ClipFunction(
        in -> Limits.between(in[1], in[2]), new int[] {LOWER, UPPER}, rule, rule);
  }

  /** Of (x, cut, value). */
  static ClipFunction untied(ThresholdGradient cutRule, ThresholdGradient valueRule) {
    return new ClipFunction(
        in -> Limits.untied(in[1], in[2]), new int[] {UPPER, VALUE}, cutRule, valueRule);
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveClip(inputs[X], Arrays.copyOfRange(inputs, 1, inputs.length));
    return ClipOp.clip(inputs[X], limits.apply(inputs));
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor[] inputs = new Tensor[1 + places.length];
    for (int i = 0; i < inputs.length; i++) {
      inputs[i] = context.saved(i);
    }
    Limits given = limits.apply(inputs);
    Tensor[] exact = ClipOp.clipBackward(gradOutput, inputs[X], given, wanted(context));
    Tensor[] gradients = new Tensor[inputs.length];
    gradients[X] = exact[X];
    ClipStatistics[] statistics = null;
    for (int i = 0; i < places.length; i++) {
      if (isExact(i)) {
        gradients[i + 1] = exact[places[i]];
      } else if (context.needsInputGrad(i + 1)) {
        statistics =
            statistics == null ? ClipOp.statistics(gradOutput, inputs[X], given) : statistics;
        gradients[i + 1] = ThresholdGradients.of(rules[i], statistics[places[i]], inputs[i + 1]);
      }
    }
    return gradients;
  }

  private boolean[] wanted(FunctionContext context) {
    boolean[] wanted = new boolean[ALL];
    wanted[X] = context.needsInputGrad(X);
    for (int i = 0; i < places.length; i++) {
      wanted[places[i]] = isExact(i) && context.needsInputGrad(i + 1);
    }
    return wanted;
  }

  /** Whether the rule is the exact derivative; the output's by an untied cut is none. */
  private boolean isExact(int threshold) {
    boolean isCut = rules.length > 1 && places[1] == VALUE && threshold == 0;
    return rules[threshold] == ThresholdGradient.SUM && !isCut;
  }
}
