package io.github.actclip.infer;

import io.github.actclip.data.SampleReader;

/**
 * What a {@link Predictor} is asked about: the values of a sample that was decoded and framed, and
 * not normalised yet. Immutable; it has no native memory, and may be asked about as often as one
 * likes.
 */
public final class Sample {

  private final SampleReader reader;
  private final float[] values;

  /** The array is the sample's from now on. */
  Sample(SampleReader reader, float[] values) {
    this.reader = reader;
    this.values = values;
  }

  boolean isOf(SampleReader other) {
    return reader == other;
  }

  /** In the order in which they are in the memory of a batch. */
  float[] values() {
    return values;
  }
}
