package io.github.actclip.nn;

import io.github.actclip.op.ScaleGradient;

/** How a {@link FakeQuantize} learns where to clip. */
public enum QuantizationMethod {
  /**
   * The threshold α is learned from what it clips; s = α/high (PACT, arXiv 1805.06085). Give α a
   * weight decay: nothing else lowers it.
   */
  PACT(ScaleGradient.CLIPPED),
  /** The step size s is learned, from rounding errors too (LSQ, arXiv 1902.08153). */
  LSQ(ScaleGradient.ROUNDED_AND_SCALED),
  /** Step size and offset are learned (LSQ+, arXiv 2004.09576). */
  LSQ_PLUS(ScaleGradient.ROUNDED_AND_SCALED),
  /**
   * The binary logarithm of the threshold is learned, and the scale is a power of two (TQT, arXiv
   * 1903.08066). Weight decay leaves it out: its authors train thresholds by the loss without
   * regularization ({@code scripts/train_imagenet_tf.py} of Xilinx/graffitist: "sce_loss wrt
   * thresholds").
   */
  TQT(ScaleGradient.ROUNDED);

  private final ScaleGradient scaleGradient;

  QuantizationMethod(ScaleGradient scaleGradient) {
    this.scaleGradient = scaleGradient;
  }

  ScaleGradient scaleGradient() {
    return scaleGradient;
  }
}
