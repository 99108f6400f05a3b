package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import org.bytedeco.pytorch.Tensor;

/**
 * Who computes clips and fake quantization, forward and backward. The arguments were checked; the
 * results have x's shape and dtype, or the threshold's, and belong to the current scope. g is the
 * gradient of the loss by the output, of the shape and dtype of x. Implementations are thread-safe.
 */
interface ClipBackend {

  /** Whether it takes these tensors, of which nothing was checked. */
  boolean supports(Tensor x, Tensor... thresholds);

  /**
   * The gradient of a loss by what was made of x, checked.
   *
   * @throws ActclipException when its shape, dtype or device is not that of x
   */
  default Tensor gradient(Tensor g, Tensor x) {
    return ClipArguments.gradient(g, x);
  }

  /** The formula of {@link Limits}. */
  Tensor clip(Tensor x, Limits limits);

  /** {@link ClipOp#clipFew} of tensors that were not checked; null where it does not do that. */
  default Tensor clipFew(Tensor x, Tensor t, boolean relu, long limit) {
    return null;
  }

  /**
   * The exact gradients by x, {@code upper} of a tied clip, {@code lower} and {@code value}.
   *
   * @param wanted which of the four are
   * @return four; those that are not wanted are anything
   */
  Tensor[] clipBackward(Tensor g, Tensor x, Limits limits, boolean... wanted);

  /** The sums for {@code upper} and {@code value}, and for {@code lower}, if there is one. */
  Sums[] statistics(Tensor g, Tensor x, Limits limits);

  /** The formula of {@link PoolOp#maxPoolClip}. */
  Pooled maxPoolClip(Tensor x, Tensor t, boolean relu);

  /**
   * The gradients by x and t.
   *
   * @param codes what this backend's forward gave
   * @param shape of x
   */
  Tensor[] maxPoolClipBackward(Tensor g, Tensor codes, Tensor t, long... shape);

  /** The formula of {@link QuantizeOp#fakeQuantize}. */
  Tensor fakeQuantize(Tensor x, Grid grid);

  /**
   * The gradients by x, the scale and the offset.
   *
   * @param wanted which of the three are
   * @return three; those that are not wanted are anything
   */
  Tensor[] fakeQuantizeBackward(
      Tensor g, Tensor x, Grid grid, ScaleGradient rule, boolean... wanted);
}
