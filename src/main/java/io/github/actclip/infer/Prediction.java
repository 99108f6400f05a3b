package io.github.actclip.infer;

import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.stream.IntStream;

/** What a network says of one sample. Immutable and thread-safe. */
public final class Prediction {

  private final float[] outputs;
  private final List<String> classes;

  /** The array is the prediction's from now on. */
  Prediction(float[] outputs, List<String> classes) {
    this.outputs = outputs;
    this.classes = classes;
  }

  /**
   * A class and how likely it is.
   *
   * @param index its number, from 0 on
   * @param label its name; its number where the training had no names
   * @param probability from 0 to 1; NaN where an output is
   */
  public record Ranked(int index, String label, double probability) {}

  /** The network's outputs as they are, of a classifier its logits; a copy. */
  public float[] outputs() {
    return outputs.clone();
  }

  /**
   * The softmax of the outputs, for a network that was trained by cross-entropy. Its sum is 1; all
   * are NaN where an output is.
   */
  public double[] probabilities() {
    double most = IntStream.range(0, outputs.length).mapToDouble(i -> outputs[i]).max().orElse(0);
    double[] shares =
        IntStream.range(0, outputs.length).mapToDouble(i -> Math.exp(outputs[i] - most)).toArray();
    double sum = IntStream.range(0, shares.length).mapToDouble(i -> shares[i]).sum();
    return IntStream.range(0, shares.length).mapToDouble(i -> shares[i] / sum).toArray();
  }

  /** The class of the largest output; of equal ones the first, and of NaN before numbers. */
  public Ranked top() {
    int best = 0;
    for (int i = 1; i < outputs.length; i++) {
      if (Float.compare(outputs[i], outputs[best]) > 0) {
        best = i;
      }
    }
    return ranked(best, probabilities());
  }

  /**
   * The classes of the largest outputs, the largest first.
   *
   * @param count how many, at least 1; all where there are fewer
   * @throws ActclipException bad input, when it is less
   */
  public List<Ranked> top(int count) {
    if (count < 1) {
      throw ActclipException.badInput("top(%d): at least one class can be asked for", count);
    }
    double[] probabilities = probabilities();
    return IntStream.range(0, outputs.length)
        .boxed()
        .sorted((one, other) -> Float.compare(outputs[other], outputs[one]))
        .limit(count)
        .map(index -> ranked(index, probabilities))
        .toList();
  }

  private Ranked ranked(int index, double[] probabilities) {
    String label = classes.isEmpty() ? String.valueOf(index) : classes.get(index);
    return new Ranked(index, label, probabilities[index]);
  }

  @Override
  public String toString() {
    return top().toString();
  }
}
