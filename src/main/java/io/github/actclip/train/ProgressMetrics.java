package io.github.actclip.train;

/**
 * Where a training stands in the middle of an epoch.
 *
 * @param epoch from 1
 * @param step steps done since the start of the training
 * @param totalSteps steps of the whole training
 * @param loss mean cross-entropy of this epoch's images so far, in nats
 * @param accuracy share of this epoch's images so far that were named right, from 0 to 1
 * @param actMax the threshold
 * @param imagesPerSecond since the epoch began
 */
public record ProgressMetrics(
    int epoch,
    long step,
    long totalSteps,
    double loss,
    double accuracy,
    double actMax,
    double imagesPerSecond) {}
