package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How well a network did on some samples.
 *
 * @param loss the mean loss per sample
 * @param metrics the mean of each {@link Metric} per sample, by its name
 * @param samples how many there were
 */
public record Evaluation(double loss, Map<String, Double> metrics, long samples) {

  /** Keeps the order of the metrics. */
  public Evaluation {
    metrics = Collections.unmodifiableMap(new LinkedHashMap<>(metrics));
  }

  /**
   * The share of samples that were named right, from 0 to 1.
   *
   * @throws ActclipException bad input, when that was not measured
   */
  public double accuracy() {
    Double accuracy = metrics.get("accuracy");
    if (accuracy == null) {
      throw ActclipException.badInput("the accuracy was not measured, only %s", metrics.keySet());
    }
    return accuracy;
  }

  /** The loss, called {@code loss}, and the metrics. */
  Map<String, Double> all() {
    Map<String, Double> all = new LinkedHashMap<>();
    all.put("loss", loss);
    all.putAll(metrics);
    return all;
  }
}
