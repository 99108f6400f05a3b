package io.github.actclip.train;

import io.github.actclip.runtime.Texts;
import org.bytedeco.pytorch.Tensor;

/**
 * What a training minimises. A lambda will do: {@code (output, target) -> torch.l1_loss(output,
 * target)}.
 */
@FunctionalInterface
public interface Loss {

  /**
   * Computes the mean loss over the samples of a batch.
   *
   * @param output of the network, float32
   * @param target of the data set, on the same device
   * @return a scalar, differentiable by the output; the caller's scope owns it
   */
  Tensor of(Tensor output, Tensor target);

  /**
   * What reports call it, and by which a checkpoint tells it from another: what {@code toString}
   * says, or else the name of its class.
   */
  default String text() {
    return Texts.of(this);
  }

  /**
   * Cross-entropy in nats, of logits (B, classes, …) and int64 classes (B, …), as {@code
   * torch.nn.functional.cross_entropy}.
   */
  static Loss crossEntropy() {
    return StandardLoss.CROSS_ENTROPY;
  }

  /** The mean of (output − target)², of one shape. */
  static Loss meanSquaredError() {
    return StandardLoss.MEAN_SQUARED_ERROR;
  }

  /**
   * Binary cross-entropy in nats, of logits and targets from 0 to 1 of one shape, as {@code
   * torch.nn.functional.binary_cross_entropy_with_logits}.
   */
  static Loss binaryCrossEntropy() {
    return StandardLoss.BINARY_CROSS_ENTROPY;
  }
}
