package io.github.actclip.op;

import org.bytedeco.pytorch.Tensor;

/**
 * The numbers that a quantizer can give: q·s + β for the codes q from {@code low} to {@code high}.
 * The tensors stay the caller's.
 *
 * @param scale s, of one element or of a shape that broadcasts to the activations'
 * @param offset β, likewise
 * @param low the smallest code
 * @param high the largest code
 */
public record Grid(Tensor scale, Tensor offset, int low, int high) {

  /** Checks x, the scale and the offset. */
  void require(Tensor x) {
    ClipArguments.require(x, offset);
    ClipArguments.require(x, scale);
  }
}
