package io.github.actclip.op;

import org.bytedeco.pytorch.Tensor;

/** Sums and counts over the elements that share a threshold. */
@FunctionalInterface
interface Sums {

  /** What is summed, in the order of the kernels. */
  enum Of {
    CLIPPED_GRADIENTS,
    CLIPPED,
    POSITIVE_GRADIENTS,
    POSITIVE
  }

  /**
   * One of them.
   *
   * @return a tensor of its own, of the threshold's shape; float64 for float64 activations, else
   *     float32
   */
  Tensor get(Of what, Tensor threshold);
}
