package io.github.actclip.data;

import io.github.actclip.runtime.Internal;
import java.util.List;

/** A {@link Normalization} of samples that all lie in memory in one way. Thread-safe. */
@Internal
public final class Normalizer {

  private final float[] center;
  private final float[] scale;

  /** By the channel of each value of a sample: a loop over such arrays is the fastest. */
  Normalizer(Normalization normalization, int[] channelOf) {
    center = ofEach(channelOf, normalization.mean());
    scale = ofEach(channelOf, normalization.std());
  }

  private static float[] ofEach(int[] channelOf, List<Double> ofChannels) {
    float[] numbers = new float[channelOf.length];
    for (int at = 0; at < numbers.length; at++) {
      numbers[at] = ofChannels.get(channelOf[at]).floatValue();
    }
    return numbers;
  }

  /** Normalises a sample in place. */
  void apply(float[] sample) {
    apply(sample, sample);
  }

  /** Normalises a sample into another array of its length. */
  public void apply(float[] sample, float[] normalized) {
    for (int at = 0; at < center.length; at++) {
      normalized[at] = (sample[at] - center[at]) / scale[at];
    }
  }
}
