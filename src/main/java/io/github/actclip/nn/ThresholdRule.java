package io.github.actclip.nn;

import io.github.actclip.autograd.ThresholdGradient;

/** The rules of {@link ThresholdGradient} that {@link ActivationOptions} can be told by name. */
public enum ThresholdRule {
  /** {@link ThresholdGradient#SUM}: exact. */
  SUM(ThresholdGradient.SUM),
  /** {@link ThresholdGradient#MEAN}: the exact one over the number of clipped elements. */
  MEAN(ThresholdGradient.MEAN),
  /** {@link ThresholdGradient#SUM_OF_MEANS}: the question's second rule, a heuristic. */
  SUM_OF_MEANS(ThresholdGradient.SUM_OF_MEANS),
  /**
   * {@link ThresholdGradient#lsq}: the exact one over √N, N being the elements of a call that share
   * the threshold, the batch included.
   */
  LSQ(ThresholdGradient.lsq(1)),
  /** {@link ThresholdGradient#FROZEN}: the threshold stays as it is. */
  FROZEN(ThresholdGradient.FROZEN);

  private final ThresholdGradient gradient;

  ThresholdRule(ThresholdGradient gradient) {
    this.gradient = gradient;
  }

  ThresholdGradient gradient() {
    return gradient;
  }
}
