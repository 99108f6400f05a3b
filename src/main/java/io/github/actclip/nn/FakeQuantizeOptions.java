package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * What a {@link FakeQuantize} is like.
 *
 * @param method how it learns
 * @param bits 2 to 8
 * @param signed whether codes go below 0: false for activations after a ReLU, true for weights
 * @param initial the threshold at the start; its scale must be a normal float32 number, 2^−126
 *     (1.2e-38) at least, since smaller ones lose digits, and some processors take them for 0; at
 *     most 2^126 (8.5e37), so that all codes stand for finite numbers
 * @param channels 1 for one scale, or one for each channel, to 1,048,576
 * @param axis the dimension of the channels; negative counts from the end
 */
public record FakeQuantizeOptions(
    QuantizationMethod method, int bits, boolean signed, double initial, int channels, int axis) {

  /** The least scale, by which x is divided: the smallest normal float32 number. */
  static final double LEAST_SCALE = Float.MIN_NORMAL;

  /** 2^126: the least code of two bits is at twice as much below 0, and rounding may add to it. */
  private static final double MOST_THRESHOLD = 0x1p126;

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
    requireThreshold("the initial threshold", initial, method, bits, signed);
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

  /** All that the quantizer computes by besides what it learns: see {@link Threshold#meaning}. */
  String meaning() {
    return "method=" + method + ", bits=" + bits + ", signed=" + signed + axis(channels, axis);
  }

  /** Where the channels lie, which says nothing of a single one. */
  static String axis(int channels, int axis) {
    return channels == 1 ? "" : ", axis=" + axis;
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

  /**
   * Checks that float32 can divide by a threshold's scale, and has numbers for all codes.
   *
   * @param what it is, in words
   * @throws ActclipException when it is too small or too large
   */
  void requireThreshold(String what, double threshold) {
    requireThreshold(what, threshold, method, bits, signed);
  }

  private static void requireThreshold(
      String what, double threshold, QuantizationMethod method, int bits, boolean signed) {
    double least = LEAST_SCALE * steps(method, bits, signed);
    if (threshold < least) {
      throw ActclipException.badInput(
          "%s (%s) must be at least %s: with a smaller one the scale is no normal float32 number",
          what, threshold, least);
    }
    if (threshold > MOST_THRESHOLD) {
      throw ActclipException.badInput(
          "%s (%s) must be at most %s: with a larger one a code may stand for no finite float32 number",
          what, threshold, MOST_THRESHOLD);
    }
  }

  /** The threshold whose scale is the least. */
  double leastThreshold() {
    return LEAST_SCALE * steps();
  }

  /**
   * How many scales the threshold is: the largest code, and for TQT, whose are powers of two, one
   * more.
   */
  int steps() {
    return steps(method, bits, signed);
  }

  private static int steps(QuantizationMethod method, int bits, boolean signed) {
    return high(bits, signed) + (method == QuantizationMethod.TQT ? 1 : 0);
  }

  /** The largest code. */
  public int high() {
    return high(bits, signed);
  }

  private static int high(int bits, boolean signed) {
    return (1 << (signed ? bits - 1 : bits)) - 1;
  }

  /**
   * The least code: PACT's are symmetric, as its threshold is; the others use the last one, too.
   */
  public int low() {
    if (!signed) {
      return 0;
    }
    return method == QuantizationMethod.PACT ? -high() : -high() - 1;
  }
}
