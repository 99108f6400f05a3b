package io.github.actclip.data;

/**
 * Seeds of {@link java.util.Random} for parts of a training. Each depends on the arguments only, so
 * a training that is resumed draws what it would have drawn.
 */
final class Seeds {

  /** 2⁶⁴ over the golden ratio: SplitMix64's step from one seed to the next. */
  private static final long STEP = 0x9e3779b97f4a7c15L;

  private Seeds() {}

  static long ofEpoch(long seed, int epoch) {
    return mix(seed + STEP * (epoch + 1L));
  }

  static long ofSample(long seed, int epoch, int index) {
    return mix(ofEpoch(seed, epoch) + STEP * (index + 1L));
  }

  /** For the next of several that draw for the same sample. */
  static long next(long seed) {
    return mix(seed + STEP);
  }

  /**
   * SplitMix64's finaliser: seeds and epochs that are close must not give numbers that are alike.
   */
  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
