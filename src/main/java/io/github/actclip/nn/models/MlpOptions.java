package io.github.actclip.nn.models;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.Objects;

/**
 * The shape of an {@link Mlp}, and how it clips.
 *
 * @param inFeatures numbers of a sample, 1 to 1,048,576
 * @param hidden widths of the layers between, from the first to the last, each 1 to 65,536; none
 *     for a single linear layer
 * @param outFeatures numbers that it gives, 1 to 1,000,000
 * @param activation how it clips
 */
public record MlpOptions(
    int inFeatures, List<Integer> hidden, int outFeatures, ActivationOptions activation) {

  private static final int MAX_FEATURES = 1 << 20;
  private static final int MAX_WIDTH = 1 << 16;

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, when one of them is out of range
   */
  public MlpOptions {
    Inputs.requireBetween("inFeatures", inFeatures, 1, MAX_FEATURES);
    hidden = List.copyOf(hidden);
    hidden.forEach(width -> Inputs.requireBetween("a hidden width", width, 1, MAX_WIDTH));
    Inputs.requireBetween("outFeatures", outFeatures, 1, Inputs.MAX_CLASSES);
    Objects.requireNonNull(activation, "activation");
  }

  /** The same shape with another way to clip. */
  public MlpOptions with(ActivationOptions other) {
    return new MlpOptions(inFeatures, hidden, outFeatures, other);
  }

  /** How many numbers the weights of such a network are, biases and thresholds not counted. */
  public long weightCount() {
    long count = 0;
    int in = inFeatures;
    for (int out : hidden) {
      count += (long) in * out;
      in = out;
    }
    return count + (long) in * outFeatures;
  }
}
