package io.github.actclip.nn;

import java.util.List;

/**
 * What a layer saw in one forward pass, and the gradient that its threshold has got.
 *
 * @param threshold the upper threshold, its mean over the channels
 * @param gradient the sum over the channels of the gradient of the layer's first parameter, as it
 *     is when one asks: after a backward pass, that pass's; 0 when there is none
 * @param clipRate the share of the elements above their threshold, from 0 to 1
 * @param histogram how many elements lie in each tenth of the threshold, from 0 to 2 times the
 *     threshold: 20 counts, the first 10 below the threshold; all 0 when it is not above 0
 */
public record ActivationStatistics(
    double threshold, double gradient, double clipRate, List<Long> histogram) {

  /** The same with another gradient. */
  public ActivationStatistics withGradient(double now) {
    return new ActivationStatistics(threshold, now, clipRate, histogram);
  }
}
