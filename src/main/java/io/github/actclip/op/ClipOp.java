package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorIndex;
import org.bytedeco.pytorch.TensorIndexVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The clips as operations on tensors. LibTorch differentiates them: where it records a gradient,
 * they are composed of its own operations. Where it records none, they are kernels of this library,
 * if it has them for this machine and the tensors suit; the bits are the same.
 *
 * <p>Everywhere, {@code x} are activations of any shape and strides, float64, float32, bfloat16 or
 * float16, and thresholds are floating point, on the device of x, of one element or of a shape that
 * broadcasts to x's, such as (C, 1, 1) for one threshold a channel of (B, C, H, W). Thresholds of
 * another dtype than x's are rounded to it, but for those of {@link #soft}. The result has x's
 * shape and dtype; the caller's scope owns it.
 *
 * <p>One rule for ties: at x = t the gradient goes to x. NaN stays NaN, and its gradient goes to x.
 *
 * <p>Between forward and backward x must not be changed in place: backward refuses then, whatever
 * the size and the backend. A threshold may be.
 *
 * <p>Every method throws an {@link ActclipException} when a tensor is undefined, not floating point
 * or on another device, or a threshold's shape does not broadcast to x's. Thread-safe.
 */
public final class ClipOp {

  /** From here on softplus(z) = z in float64, too; LibTorch's 20 would be off by 2e-9. */
  private static final double SOFTPLUS_IS_LINEAR = 36;

  private ClipOp() {}

  /**
   * A threshold as every clip compares x with it: checked, rounded to the dtype of x, and of a
   * shape that broadcasts to that of x.
   */
  public static Tensor fit(Tensor x, Tensor t) {
    return ClipArguments.threshold(x, t);
  }

  /** Which backend was chosen for this process, and why where it is not the native one. */
  public static String backend() {
    return Backends.chosen().description();
  }

  /** Whether the native kernels compute the clip of x by these limits. */
  public static boolean isNative(Tensor x, Limits limits) {
    return Backends.isNative() && Backends.chosen().backend().supports(x, limits.thresholds());
  }

  /**
   * Where a pass over x takes less time than the calls to check and to clip it: the same as {@link
   * #relu} or {@link #clip(Tensor, Tensor)}, in one call.
   *
   * @param limit how many elements are no longer few
   * @return null where they are not float32 or float64, or not few, or do not suit, or the backend
   *     is not native: one of those methods is then to be asked
   */
  public static Tensor clipFew(Tensor x, Tensor t, boolean relu, long limit) {
    boolean given = x != null && t != null && !x.isNull() && !t.isNull();
    return given ? Backends.chosen().backend().clipFew(x, t, relu, limit) : null;
  }

  /** Clips as the limits say. */
  public static Tensor clip(Tensor x, Limits limits) {
    return Backends.forward(() -> limits.require(x), x, limits.thresholds()).clip(x, limits);
  }

  /**
   * The exact gradients of a clip; not recorded themselves.
   *
   * @param g the gradient of the loss by the output, of the shape and dtype of x
   * @param wanted which of the four are
   * @return the gradients by x, of its dtype, and by the upper threshold of a tied clip, the lower
   *     one and the value above the upper one, of their shapes and dtypes; those that are not
   *     wanted are anything
   */
  public static Tensor[] clipBackward(Tensor g, Tensor x, Limits limits, boolean... wanted) {
    ClipBackend backend = Backends.of(() -> limits.require(x), x, limits.thresholds());
    return backend.clipBackward(backend.gradient(g, x), x, limits, wanted);
  }

  /**
   * What a rule may know about the backward pass of a clip.
   *
   * @param g as for {@link #clipBackward}
   * @return places 1 to 3: for the upper threshold, the lower one, and the value above the upper
   *     one; null for what is not there
   */
  public static ClipStatistics[] statistics(Tensor g, Tensor x, Limits limits) {
    ClipBackend backend = Backends.of(() -> limits.require(x), x, limits.thresholds());
    Sums[] sums = backend.statistics(backend.gradient(g, x), x, limits);
    Tensor upper = limits.upper();
    Tensor jump = limits.value() == null ? torch.zeros_like(upper) : upper.sub(limits.value());
    return new ClipStatistics[] {
      null,
      new ClipStatistics(x, g, sums[0], upper, jump),
      withoutJump(x, g, sums[1], limits.lower()),
      withoutJump(x, g, sums[0], limits.value())
    };
  }

  /** Of a threshold where nothing happens when x passes it but that the slope changes, if that. */
  private static ClipStatistics withoutJump(Tensor x, Tensor g, Sums sums, Tensor threshold) {
    return threshold == null
        ? null
        : new ClipStatistics(x, g, sums, threshold, torch.zeros_like(threshold));
  }

  /**
   * Clips from above: {@code where(x > t, t, x)}.
   *
   * <p>dL/dt = Σ g over x > t, exactly; dL/dx = g elsewhere.
   */
  public static Tensor clip(Tensor x, Tensor t) {
    return clip(x, Limits.above(t));
  }

  /** Rectifies and clips: {@code clip(relu(x), t)}, which is t everywhere when t is below 0. */
  public static Tensor relu(Tensor x, Tensor t) {
    return clip(x, Limits.rectified(t));
  }

  /**
   * Clips on both sides: hi where {@code x > hi}, lo where {@code x < lo}, else x; hi everywhere
   * when {@code lo > hi}, as {@code torch.clamp} does.
   *
   * <p>dL/dlo = Σ g over {@code x < lo}, dL/dhi = Σ g over {@code x > hi}, exactly.
   */
  public static Tensor clip(Tensor x, Tensor lo, Tensor hi) {
    return clip(x, Limits.between(lo, hi));
  }

  /**
   * The untied clip: x up to {@code cut}, {@code value} above it.
   *
   * <p>dL/dvalue = Σ g over x > cut, exactly. The output jumps at the cut, and no gradient by it is
   * recorded, although the expected loss has one; {@code ThresholdGradient.kernelDensity} estimates
   * it.
   */
  public static Tensor untied(Tensor x, Tensor cut, Tensor value) {
    return clip(x, Limits.untied(cut, value));
  }

  /**
   * The soft clip t − softplus(β(t − x))/β, which is below x and below t, by at most ln(2)/β at x =
   * t.
   *
   * <p>dL/dx = g·σ(β(t − x)) and dL/dt = Σ g·σ(β(x − t)), smooth in both. For bfloat16 and float16
   * it computes in float32, with a float32 threshold as it is: no comparison asks for one that x
   * could equal.
   *
   * @param beta the sharpness β, a normal float32 number above 0; the clip is its limit for β → ∞
   */
  public static Tensor soft(Tensor x, Tensor t, double beta) {
    requireDivisor("beta", beta);
    Tensor wide = ClipArguments.atLeastFloat32(x);
    Tensor top = fit(wide, t);
    Tensor isNaN = wide.isnan(); // The threshold is to get nothing of those.
    Tensor room = top.sub(wide.masked_fill(isNaN, new Scalar(0)));
    Tensor below = torch.softplus(room, new Scalar(beta), new Scalar(SOFTPLUS_IS_LINEAR));
    return torch.where(maskFor(x, isNaN), wide, top.sub(below)).to(x.scalar_type());
  }

  /**
   * Checks an option by which numbers are divided: below the normal float32 numbers they lose
   * digits, and some processors take them for 0.
   *
   * @throws ActclipException when it is not above 0, or no normal float32 number
   */
  public static void requireDivisor(String name, double value) {
    if (!(value >= Float.MIN_NORMAL && value <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "%s (%s) must be above 0 and a normal float32 number, %s to %s",
          name, value, Float.MIN_NORMAL, Float.MAX_VALUE);
    }
  }

  /**
   * The generalised ReLU (x + b)·H(x, t), where H is 1 for x > t, else 0.
   *
   * <p>dL/db = Σ g over x > t, exactly. With t = −b it is relu(x + b), whose gradient at x = t is
   * 0. Any other t makes a jump, and no gradient by t is recorded; see {@link #untied}.
   *
   * @param b the bias, like a threshold in shape and dtype
   */
  public static Tensor generalizedRelu(Tensor x, Tensor b, Tensor t) {
    Tensor cut = fit(x, t);
    Tensor shifted = torch.where(x.gt(cut), x.add(fit(x, b)), x); // and not NaN, for b's gradient
    return torch.where(maskFor(x, x.le(cut)), new Scalar(0), shifted);
  }

  /**
   * What was made of x for its backward pass, with the version of x as its own: LibTorch, and
   * {@code FunctionContext}, then refuse that pass once x was changed in place.
   *
   * @param made of any shape and dtype, on the device of x
   * @return the same data
   */
  public static Tensor withVersionOf(Tensor x, Tensor made) {
    Tensor watched = x.detach(); // shares the version
    watched.set_data(made);
    return watched;
  }

  /**
   * The kernels read x again in backward, and refuse what was changed: so what is composed does.
   */
  static Tensor maskFor(Tensor x, Tensor mask) {
    return GradMode.is_enabled() ? withVersionOf(x, mask) : mask;
  }

  /**
   * Clips in place, as the question first did: {@code x[x > t] = t}.
   *
   * <p>It overwrites x. Here to show what autograd makes of it, not to be used: see the page on
   * clips.
   *
   * @param t of one element
   * @return x
   */
  public static Tensor clipInPlace(Tensor x, Tensor t) {
    Tensor top = fit(x, t);
    if (top.numel() != 1) {
      throw ActclipException.badInput(
          "the threshold has %d elements: in place there can be only one", top.numel());
    }
    if (x.is_inference() && !InferenceMode.is_enabled()) {
      throw ActclipException.badInput(
          "the activations were made in inference mode, and cannot be changed in place outside of it:"
              + " clip a clone of them");
    }
    return x.index_put_(new TensorIndexVector(new TensorIndex(x.gt(top))), top);
  }
}
