package io.github.actclip.op;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The clip as an operation on tensors, composed of LibTorch's own. Thread-safe. */
public final class ClipOp {

  private ClipOp() {}

  /**
   * Clips from above: {@code where(x > t, t, x)}.
   *
   * <p>The gradient goes to t where x > t (dL/dt = Σ g over the clipped elements, exactly), and to
   * x everywhere else, ties and NaN included.
   *
   * @param x activations, any shape, floating point
   * @param t threshold, of the same dtype and device, of a shape that broadcasts to x's, such as
   *     (1)
   * @return the clipped activations, of x's shape; the caller's scope owns them
   */
  public static Tensor clip(Tensor x, Tensor t) {
    return torch.where(x.gt(t), t, x);
  }
}
