package io.github.actclip.train;

import java.util.List;

/**
 * What one epoch came to; a line of {@code metrics.jsonl}. Losses are mean cross-entropies in nats,
 * accuracies go from 0 to 1.
 *
 * @param epoch from 1
 * @param step steps done since the start of the training
 * @param learningRate of the last step
 * @param trainLoss over the epoch's steps, while the network was changing
 * @param trainAccuracy likewise
 * @param testLoss after the epoch
 * @param testAccuracy after the epoch
 * @param actMax the threshold after the epoch; of the untied clip and the generalised ReLU the cut,
 *     of a quantizer the largest value
 * @param clipRate the share of the activations above the threshold, from 0 to 1, that the first 250
 *     test images cause after the epoch
 * @param thresholdGradient the gradient of the first threshold in the last step, summed over the
 *     channels; 0 when it is frozen
 * @param imagesPerSecond of training, without the test
 * @param seconds of training, without the test, by what they went into
 * @param activations of the same images: how many lie in each tenth of the threshold, from 0 to 2
 *     times the threshold; 20 counts
 */
public record EpochMetrics(
    int epoch,
    long step,
    double learningRate,
    double trainLoss,
    double trainAccuracy,
    double testLoss,
    double testAccuracy,
    double actMax,
    double clipRate,
    double thresholdGradient,
    double imagesPerSecond,
    PhaseSeconds seconds,
    List<Long> activations) {}
