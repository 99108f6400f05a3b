package io.github.actclip.export;

/**
 * A number above 0 for fixed-point arithmetic: {@code multiplier·2^−shift}, with a multiplier of 31
 * bits. From Jacob et al., "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", arXiv 1712.05877, section 2.2, as in gemmlowp and TensorFlow
 * Lite, and with TensorFlow Lite's single rounding: ties round up.
 *
 * @param multiplier 2^30 to 2^31 − 1; 0 where the number is too small to move any sum
 * @param shift 1 to 62
 */
record Multiplier(int multiplier, int shift) {

  private static final int BITS = 31;
  private static final int MAX_SHIFT = 62;

  /** The nearest to a number; for one from 2^30 on, some by which every sum saturates its code. */
  static Multiplier of(double value) {
    int exponent = Math.getExponent(value) + 1; // value = f·2^exponent, f from 0.5 to 1
    int shift = BITS - exponent;
    long rounded = Math.round(Math.scalb(value, shift));
    if (rounded == 1L << BITS) {
      rounded /= 2;
      shift--;
    }
    if (shift < 1) {
      return new Multiplier(Integer.MAX_VALUE, 1);
    }
    return shift > MAX_SHIFT ? new Multiplier(0, MAX_SHIFT) : new Multiplier((int) rounded, shift);
  }

  /** The product with a sum, rounded. */
  long times(int sum) {
    return ((long) sum * multiplier + (1L << (shift - 1))) >> shift;
  }
}
