package io.github.actclip.train;

import java.util.Map;

/**
 * Where a training stands in the middle of an epoch.
 *
 * @param epoch from 1
 * @param step steps done since the start of the training
 * @param totalSteps steps of the whole training
 * @param metrics the {@code loss} and the metrics of this epoch's samples so far, by their names
 * @param thresholds the value above which each layer clips, its mean over the channels, by the name
 *     of the layer's first threshold
 * @param samplesPerSecond since the epoch began
 */
public record ProgressMetrics(
    int epoch,
    long step,
    long totalSteps,
    Map<String, Double> metrics,
    Map<String, Double> thresholds,
    double samplesPerSecond) {}
