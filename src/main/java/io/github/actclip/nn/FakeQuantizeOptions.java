package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * What a {@link FakeQuantize} is like.
 *
 * @param method how it learns
 * @param bits 2 to 8
 * @param signed whether codes go below 0: false for activations after a ReLU, true for weights
 * @param initial the threshold at the start, above 0
 * @param channels 1 for one scale, or one for each channel, to 1,048,576
 * @param axis the dimension of the channels; negative counts from the end
 */
public record FakeQuantizeOptions(
    QuantizationMethod method, int bits, boolean signed, double initial, int channels, int axis) {

  private static final int MIN_BITS = 2;
  private static final int MAX_BITS = 8;
  private static final int MAX_CHANNELS = 1 << 20;

  /**
   * Checks the values.
   *
   * @throws ActclipException naming the first that is out of range
   */
  public FakeQuantizeOptions {
    Objects.requireNonNull(method, "method");
    requireBits("bits", bits);
    if (!(initial > 0 && initial <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "the initial threshold (%s) must be above 0 and fit into a float", initial);
    }
    requireChannels(channels);
  }

  /** For activations after a ReLU: unsigned, one scale, from a threshold of 1. */
  public static FakeQuantizeOptions activations(QuantizationMethod method, int bits) {
    return new FakeQuantizeOptions(method, bits, false, 1, 1, 1);
  }

  /** For weights (C, …): signed, one scale for each of C channels, from a threshold of 1. */
  public static FakeQuantizeOptions weights(QuantizationMethod method, int bits, int channels) {
    return new FakeQuantizeOptions(method, bits, true, 1, channels, 0);
  }

  static void requireChannels(int channels) {
    if (channels < 1 || channels > MAX_CHANNELS) {
      throw ActclipException.badInput("channels (%d) must be 1 to %d", channels, MAX_CHANNELS);
    }
  }

  static void requireBits(String name, int bits) {
    if (bits < MIN_BITS || bits > MAX_BITS) {
      throw ActclipException.badInput("%s (%d) must be %d to %d", name, bits, MIN_BITS, MAX_BITS);
    }
  }

  /** The largest code. */
  int high() {
    return (1 << (signed ? bits - 1 : bits)) - 1;
  }

  /**
   * The least code: PACT's are symmetric, as its threshold is; the others use the last one, too.
   */
  int low() {
    if (!signed) {
      return 0;
    }
    return method == QuantizationMethod.PACT ? -high() : -high() - 1;
  }
}
