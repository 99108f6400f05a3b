package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The clips of {@link ClipOp} with a chosen gradient for their thresholds, and with float32
 * thresholds for bfloat16 and float16 activations: sums over them are then made in float32.
 *
 * <p>Shapes, dtypes, ties and what is refused are those of {@link ClipOp}. A rule gets statistics
 * of the shape that the threshold is given in. Thread-safe.
 */
public final class ClipFunctions {

  private ClipFunctions() {}

  /** {@link ClipOp#clip(Tensor, Tensor)} whose threshold learns by {@code rule}. */
  public static Tensor clip(Tensor x, Tensor t, ThresholdGradient rule) {
    requireRule(rule);
    return isPlain(x, rule) ? ClipOp.clip(x, t) : new ClipFunction(rule).apply(x, t);
  }

  /** {@link ClipOp#relu} whose threshold learns by {@code rule}. */
  public static Tensor relu(Tensor x, Tensor t, ThresholdGradient rule) {
    return isPlain(x, rule) ? ClipOp.relu(x, t) : clip(x.relu(), t, rule);
  }

  /** {@link ClipOp#clip(Tensor, Tensor, Tensor)} whose thresholds both learn by {@code rule}. */
  public static Tensor clip(Tensor x, Tensor lo, Tensor hi, ThresholdGradient rule) {
    requireRule(rule);
    return isPlain(x, rule)
        ? ClipOp.clip(x, lo, hi)
        : new TwoSidedClipFunction(rule).apply(x, lo, hi);
  }

  /**
   * {@link ClipOp#untied}.
   *
   * @param cutRule for the cut, such as {@link ThresholdGradient#kernelDensity}
   * @param valueRule for the value
   */
  public static Tensor untied(
      Tensor x, Tensor cut, Tensor value, ThresholdGradient cutRule, ThresholdGradient valueRule) {
    requireRule(cutRule);
    requireRule(valueRule);
    return new UntiedClipFunction(cutRule, valueRule).apply(x, cut, value);
  }

  /**
   * {@link ClipOp#generalizedRelu}; b gets its exact gradient.
   *
   * @param cutRule for t, such as {@link ThresholdGradient#kernelDensity}
   */
  public static Tensor generalizedRelu(Tensor x, Tensor b, Tensor t, ThresholdGradient cutRule) {
    requireRule(cutRule);
    return new GeneralizedReluFunction(cutRule).apply(x, b, t);
  }

  /**
   * Whether LibTorch's own gradient of the composed clip is the one that is wanted. What is no
   * tensor, or not floating point, goes that way, too, and is refused there.
   */
  private static boolean isPlain(Tensor x, ThresholdGradient rule) {
    if (x == null || x.isNull() || !x.defined() || !x.is_floating_point()) {
      return true;
    }
    return rule == ThresholdGradient.SUM && !torch.isReducedFloatingType(x.scalar_type());
  }

  private static void requireRule(ThresholdGradient rule) {
    if (rule == null) {
      throw ActclipException.badInput("the rule: there is none");
    }
  }
}
