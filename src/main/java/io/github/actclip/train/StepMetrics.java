package io.github.actclip.train;

import java.util.List;
import java.util.Map;

/**
 * What one step came to.
 *
 * @param step from 1
 * @param learningRate of the weights
 * @param loss the mean cross-entropy of the step's batch, in nats
 * @param thresholds the value of every threshold's parameter after the step, one for each channel,
 *     by its name in the state dict
 * @param gradients the gradient of each of them in the step; zeros where there is none
 */
public record StepMetrics(
    long step,
    double learningRate,
    double loss,
    Map<String, List<Double>> thresholds,
    Map<String, List<Double>> gradients) {}
