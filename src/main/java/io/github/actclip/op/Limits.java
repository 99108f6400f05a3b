package io.github.actclip.op;

import io.github.actclip.runtime.Internal;
import org.bytedeco.pytorch.Tensor;

/**
 * What a clip limits activations by: with r = relu(x) or x, it gives {@code value} (without one,
 * {@code upper}) where r, raised to {@code lower}, is above {@code upper}; {@code lower} elsewhere
 * where r is below it; else r. The tensors stay the caller's.
 *
 * @param relu whether it rectifies first
 * @param upper the threshold above which it clips
 * @param lower the threshold below which it clips, or null
 * @param value what it gives above {@code upper}, or null
 */
@Internal
public record Limits(boolean relu, Tensor upper, Tensor lower, Tensor value) {

  /** Of {@link ClipOp#clip(Tensor, Tensor)}. */
  public static Limits above(Tensor t) {
    return new Limits(false, t, null, null);
  }

  /** Of {@link ClipOp#relu}. */
  public static Limits rectified(Tensor t) {
    return new Limits(true, t, null, null);
  }

  /** Of {@link ClipOp#clip(Tensor, Tensor, Tensor)}. */
  public static Limits between(Tensor lo, Tensor hi) {
    ClipArguments.requireFloating(ClipArguments.THRESHOLD, lo); // null would be none
    return new Limits(false, hi, lo, null);
  }

  /** Of {@link ClipOp#untied}. */
  public static Limits untied(Tensor cut, Tensor value) {
    ClipArguments.requireFloating(ClipArguments.THRESHOLD, value); // null would be none
    return new Limits(false, cut, null, value);
  }

  /** Checks x and every threshold against x. */
  void require(Tensor x) {
    ClipArguments.require(x, upper); // null, too
    for (Tensor threshold : thresholds()) {
      ClipArguments.require(x, threshold);
    }
  }

  /** Those that are there. */
  Tensor[] thresholds() {
    if (lower == null) {
      return value == null ? new Tensor[] {upper} : new Tensor[] {upper, value};
    }
    return value == null ? new Tensor[] {upper, lower} : new Tensor[] {upper, lower, value};
  }
}
