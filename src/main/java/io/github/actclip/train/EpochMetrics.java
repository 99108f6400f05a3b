package io.github.actclip.train;

import io.github.actclip.nn.ActivationStatistics;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What one epoch came to; a line of {@code metrics.jsonl}.
 *
 * @param epoch from 1
 * @param step steps done since the start of the training
 * @param learningRate of the last step
 * @param train the {@code loss} and the metrics over the epoch's steps, while the network was
 *     changing, by their names
 * @param test the same after the epoch
 * @param thresholds what each layer with thresholds saw of the first 250 test samples after the
 *     epoch, by the name of its first threshold in the state dict; the gradients are those of the
 *     last step
 * @param samplesPerSecond of training, without the test
 * @param seconds of training, without the test, by what they went into
 */
public record EpochMetrics(
    int epoch,
    long step,
    double learningRate,
    Map<String, Double> train,
    Map<String, Double> test,
    Map<String, ActivationStatistics> thresholds,
    double samplesPerSecond,
    PhaseSeconds seconds) {

  /** Keeps the order of the maps. */
  public EpochMetrics {
    train = Collections.unmodifiableMap(new LinkedHashMap<>(train));
    test = Collections.unmodifiableMap(new LinkedHashMap<>(test));
    thresholds = Collections.unmodifiableMap(new LinkedHashMap<>(thresholds));
  }

  /** The mean loss over the epoch's steps. */
  public double trainLoss() {
    return train.get("loss");
  }

  /** The mean loss after the epoch. */
  public double testLoss() {
    return test.get("loss");
  }
}
