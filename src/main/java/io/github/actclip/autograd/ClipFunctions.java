package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.ConvNormOp;
import io.github.actclip.op.Limits;
import io.github.actclip.op.PoolOp;
import io.github.actclip.op.ReluLimit;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Optional;
import java.util.function.Supplier;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The clips of {@link ClipOp} with a chosen gradient for their thresholds, and with float32
 * thresholds for bfloat16 and float16 activations: sums over them are then made in float32.
 *
 * <p>Shapes, dtypes, ties and what is refused are those of {@link ClipOp}. A rule gets statistics
 * of the shape that the threshold is given in. Thread-safe.
 *
 * <p>They have no second derivative, as no {@link CustomFunction} has one: what is to be
 * differentiated twice, for a penalty on gradients say, is a clip of {@link ClipOp}.
 */
public final class ClipFunctions {

  /**
   * From this number of elements on, a kernel makes up for what a custom function costs: measured,
   * LibTorch's relu and where are faster at 8,192, as fast at 16,384, and 1.3 times slower at
   * 32,768.
   */
  static final long NATIVE_PAYS_FROM = 20_000;

  private static final long[] ONE = {1};

  private ClipFunctions() {}

  /** {@link ClipOp#clip(Tensor, Tensor)} whose threshold learns by {@code rule}. */
  public static Tensor clip(Tensor x, Tensor t, ThresholdGradient rule) {
    return above(x, t, false, rule);
  }

  /** {@link ClipOp#relu} whose threshold learns by {@code rule}. */
  public static Tensor relu(Tensor x, Tensor t, ThresholdGradient rule) {
    return above(x, t, true, rule);
  }

  /**
   * {@link ClipOp#relu} whose threshold gets its exact gradient, and whose output may take the
   * place of x, in memory and in the graph, as that of {@code relu_} does. It may where the kernels
   * take x, and, while gradients are recorded, x is what an operation gave: no leaf, no view, and
   * without hooks. Else x stays as it is.
   */
  public static Tensor reluInPlace(Tensor x, Tensor t) {
    return InPlaceFunction.apply(ReluLimit.CLIP, x, t)
        .orElseGet(() -> relu(x, t, ThresholdGradient.SUM));
  }

  /**
   * {@link #reluInPlace} of what is normalised, in one pass, where kernels do that.
   *
   * @param norm open
   * @param addend is added to what is normalised
   * @return empty, and nothing was changed, where they do not
   */
  public static Optional<Tensor> batchNormRelu(
      BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend, Tensor t) {
    return BatchNormLimitFunction.apply(ReluLimit.CLIP, norm, x, addend, t);
  }

  /** The same without a threshold. */
  public static Optional<Tensor> batchNormRelu(
      BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    return batchNormRelu(norm, x, addend, none(x));
  }

  /**
   * {@link #batchNormRelu} of a convolution's output, in one pass with it: in evaluation mode,
   * where nothing is recorded.
   *
   * @param conv open
   * @param x as the convolution takes it
   * @param threshold gives one of one element, or of (N, 1, 1) for N channels of its output; it is
   *     not asked in training
   * @return empty where kernels do not do that
   */
  public static Optional<Tensor> convBatchNormRelu(
      Conv2dImpl conv,
      BatchNorm2dImpl norm,
      Tensor x,
      Optional<Tensor> addend,
      Supplier<Tensor> threshold) {
    if (GradMode.is_enabled() || norm.is_training() || conv.bias().defined()) {
      return Optional.empty();
    }
    Tensor t = threshold.get();
    return PlainConvolution.of(conv)
        .flatMap(
            plain ->
                BatchNormLimitFunction.op(norm)
                    .map(op -> new ConvNormOp(conv.weight(), plain.stride(), plain.padding(), op)))
        .filter(op -> op.suits(x, addend, t))
        .map(op -> op.forward(x, addend, t));
  }

  /** The same without a threshold. */
  public static Optional<Tensor> convBatchNormRelu(
      Conv2dImpl conv, BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    return convBatchNormRelu(conv, norm, x, addend, () -> none(x));
  }

  /** A threshold above everything. */
  private static Tensor none(Tensor x) {
    return torch.full(ONE, new Scalar(Double.POSITIVE_INFINITY), x.options());
  }

  /** {@link ClipOp#clip(Tensor, Tensor, Tensor)} whose thresholds both learn by {@code rule}. */
  public static Tensor clip(Tensor x, Tensor lo, Tensor hi, ThresholdGradient rule) {
    requireRule(rule);
    return isPlain(x, rule, Limits.between(lo, hi))
        ? ClipOp.clip(x, lo, hi)
        : ClipFunction.between(rule).apply(x, lo, hi);
  }

  /**
   * {@code clip(relu(max_pool2d(x, 2)), t)}, max pooling of 2×2 with stride 2; t gets its exact
   * gradient.
   *
   * @param x (B, C, H, W); an odd last row or column is left out
   * @param t of one element, or (C, 1, 1)
   * @return (B, C, ⌊H/2⌋, ⌊W/2⌋), of the dtype and the memory format of x
   */
  public static Tensor maxPoolClip(Tensor x, Tensor t) {
    return PoolOp.isNative(x, t) && x.numel() >= NATIVE_PAYS_FROM
        ? new MaxPoolClipFunction().apply(x, t)
        : relu(torch.max_pool2d(x, 2, 2), t, ThresholdGradient.SUM);
  }

  /**
   * {@code relu(max_pool2d(x, 2))}: {@link #maxPoolClip} without a threshold.
   *
   * @param x (B, C, H, W); an odd last row or column is left out
   * @return (B, C, ⌊H/2⌋, ⌊W/2⌋), of the dtype and the memory format of x
   */
  public static Tensor maxPoolRelu(Tensor x) {
    PoolOp.requirePoolable(x);
    if (x.numel() >= NATIVE_PAYS_FROM) {
      Tensor none = none(x);
      if (PoolOp.isNative(x, none)) {
        return new MaxPoolClipFunction().apply(x, none);
      }
    }
    return torch.max_pool2d(x, 2, 2).relu_();
  }

  /**
   * {@link ClipOp#untied}.
   *
   * @param cutRule for the cut: {@link ThresholdGradient#kernelDensity}, which estimates the
   *     derivative, or {@link ThresholdGradient#FROZEN}; the others see what the cut clips, too,
   *     but that is the derivative by the value
   * @param valueRule for the value: any but {@code kernelDensity}, which is 0 for it
   */
  public static Tensor untied(
      Tensor x, Tensor cut, Tensor value, ThresholdGradient cutRule, ThresholdGradient valueRule) {
    requireRule(cutRule);
    requireRule(valueRule);
    return ClipFunction.untied(cutRule, valueRule).apply(x, cut, value);
  }

  /**
   * {@link ClipOp#generalizedRelu}; b gets its exact gradient.
   *
   * @param cutRule for t: {@link ThresholdGradient#kernelDensity}, which estimates the derivative,
   *     or {@link ThresholdGradient#FROZEN}; to the others what is off counts as clipped, which
   *     says nothing of the derivative
   */
  public static Tensor generalizedRelu(Tensor x, Tensor b, Tensor t, ThresholdGradient cutRule) {
    requireRule(cutRule);
    return new GeneralizedReluFunction(cutRule).apply(x, b, t);
  }

  private static Tensor above(Tensor x, Tensor t, boolean relu, ThresholdGradient rule) {
    requireRule(rule);
    Tensor few =
        rule == ThresholdGradient.SUM ? ClipOp.clipFew(x, t, relu, NATIVE_PAYS_FROM) : null;
    if (few != null) {
      return few;
    }
    Limits limits = relu ? Limits.rectified(t) : Limits.above(t);
    return isPlain(x, rule, limits)
        ? ClipOp.clip(x, limits)
        : ClipFunction.above(relu, rule).apply(x, t);
  }

  /**
   * Whether LibTorch's own gradient of the composed clip is the one that is wanted, and no kernel
   * computes it faster. What is no tensor, or not floating point, goes that way, too, and is
   * refused there.
   */
  private static boolean isPlain(Tensor x, ThresholdGradient rule, Limits limits) {
    boolean isNative = ClipOp.isNative(x, limits);
    if (!isNative && (!Arguments.isTensor(x) || !x.is_floating_point())) {
      return true;
    }
    return rule == ThresholdGradient.SUM
        && !(isNative && x.numel() >= NATIVE_PAYS_FROM)
        && !torch.isReducedFloatingType(x.scalar_type());
  }

  private static void requireRule(ThresholdGradient rule) {
    if (rule == null) {
      throw ActclipException.badInput("the rule: there is none");
    }
  }
}
