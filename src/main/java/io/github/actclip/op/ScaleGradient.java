package io.github.actclip.op;

import io.github.actclip.runtime.Internal;

/** How the scale of a quantizer gets its gradient. The kernels know them by their order. */
@Internal
public enum ScaleGradient {
  /** From the clipped elements alone. */
  CLIPPED,
  /**
   * From the clipped elements and from the rounding of the others. An element counts as clipped,
   * here alone, where round(v) is outside, so that v may be outside by a half (TQT, arXiv
   * 1903.08066, section 3.3).
   */
  ROUNDED,
  /** From the clipped and from the rounding of the others, scaled by 1/√(N·high). */
  ROUNDED_AND_SCALED
}
