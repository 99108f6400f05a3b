package io.github.actclip.nn;

import java.util.List;

/**
 * What a layer saw in one forward pass.
 *
 * @param threshold the upper threshold, its mean over the channels
 * @param gradient the sum of the gradients of the layer's first parameter as they were then; 0
 *     before the first backward pass
 * @param clipRate the share of the elements above their threshold, from 0 to 1
 * @param histogram how many elements lie in each tenth of the threshold, from 0 to 2 times the
 *     threshold: 20 counts, the first 10 below the threshold; all 0 when it is not above 0
 */
public record ActivationStatistics(
    double threshold, double gradient, double clipRate, List<Long> histogram) {}
