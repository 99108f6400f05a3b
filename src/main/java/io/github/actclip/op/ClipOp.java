package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorIndex;
import org.bytedeco.pytorch.TensorIndexVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The clips as operations on tensors, composed of LibTorch's own. LibTorch differentiates them.
 *
 * <p>Everywhere, {@code x} are activations of any shape and strides, float64, float32, bfloat16 or
 * float16, and thresholds are floating point, on the device of x, of one element or of a shape that
 * broadcasts to x's, such as (C, 1, 1) for one threshold a channel of (B, C, H, W). Thresholds of
 * another dtype than x's are rounded to it. The result has x's shape and dtype; the caller's scope
 * owns it.
 *
 * <p>One rule for ties: at x = t the gradient goes to x. NaN stays NaN, and its gradient goes to x.
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

  /**
   * Clips from above: {@code where(x > t, t, x)}.
   *
   * <p>dL/dt = Σ g over x > t, exactly; dL/dx = g elsewhere.
   */
  public static Tensor clip(Tensor x, Tensor t) {
    Tensor top = fit(x, t);
    return torch.where(x.gt(top), top, x);
  }

  /** Rectifies and clips: {@code clip(relu(x), t)}, which is t everywhere when t is below 0. */
  public static Tensor relu(Tensor x, Tensor t) {
    ClipArguments.requireFloating("the activations", x);
    return clip(x.relu(), t);
  }

  /**
   * Clips on both sides: hi where x > hi, lo where x < lo, else x; hi everywhere when lo > hi, as
   * {@code torch.clamp} does.
   *
   * <p>dL/dlo = Σ g over x < lo, dL/dhi = Σ g over x > hi, exactly.
   */
  public static Tensor clip(Tensor x, Tensor lo, Tensor hi) {
    Tensor bottom = fit(x, lo);
    return clip(torch.where(x.lt(bottom), bottom, x), hi);
  }

  /**
   * The untied clip: x up to {@code cut}, {@code value} above it.
   *
   * <p>dL/dvalue = Σ g over x > cut, exactly. The output jumps at the cut, and no gradient by it is
   * recorded, although the expected loss has one; {@code ThresholdGradient.kernelDensity} estimates
   * it.
   */
  public static Tensor untied(Tensor x, Tensor cut, Tensor value) {
    Tensor above = x.gt(fit(x, cut));
    return torch.where(above, fit(x, value), x);
  }

  /**
   * The soft clip t − softplus(β(t − x))/β, which is below x and below t, by at most ln(2)/β at x =
   * t.
   *
   * <p>dL/dx = g·σ(β(t − x)) and dL/dt = Σ g·σ(β(x − t)), smooth in both. For bfloat16 and float16
   * it computes in float32.
   *
   * @param beta the sharpness β, above 0; the clip is its limit for β → ∞
   */
  public static Tensor soft(Tensor x, Tensor t, double beta) {
    if (!(beta > 0 && beta <= Float.MAX_VALUE)) {
      throw ActclipException.badInput("beta (%s) must be above 0 and fit into a float", beta);
    }
    Tensor wide = ClipArguments.atLeastFloat32(x);
    Tensor top = fit(wide, t);
    Tensor below = torch.softplus(top.sub(wide), new Scalar(beta), new Scalar(SOFTPLUS_IS_LINEAR));
    return top.sub(below).to(x.scalar_type());
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
    Tensor off = x.le(fit(x, t)); // and not "on", so that NaN stays NaN
    return torch.where(off, new Scalar(0), x.add(fit(x, b)));
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
    return x.index_put_(new TensorIndexVector(new TensorIndex(x.gt(top))), top);
  }
}
