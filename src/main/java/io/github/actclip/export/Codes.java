package io.github.actclip.export;

/**
 * Whole numbers of one sample: codes of 8 bits, or sums of 32.
 *
 * @param values in the order (C, H, W)
 */
record Codes(int channels, int height, int width, int[] values) {

  /** How many numbers a channel has. */
  int plane() {
    return height * width;
  }

  /** The same numbers as so many channels of one each. */
  Codes flat() {
    return new Codes(values.length, 1, 1, values);
  }

  /** The same shape with {@code zero} taken from each, so that 0 stands for 0. */
  Codes without(int zero) {
    if (zero == 0) {
      return this;
    }
    int[] shifted = new int[values.length];
    for (int i = 0; i < shifted.length; i++) {
      shifted[i] = values[i] - zero;
    }
    return new Codes(channels, height, width, shifted);
  }
}
