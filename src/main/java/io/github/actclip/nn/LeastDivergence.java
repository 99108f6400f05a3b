package io.github.actclip.nn;

/** The search of {@link Calibration#KL}; thresholds are fractions of the largest value. */
final class LeastDivergence {

  static final int BINS = 2048;

  private final double[] bins;
  private final double total;

  LeastDivergence(double[] bins) {
    this.bins = bins;
    double sum = 0;
    for (double bin : bins) {
      sum += bin;
    }
    total = sum;
  }

  double bestThreshold(int levels) {
    int best = BINS;
    double least = Double.POSITIVE_INFINITY;
    double kept = 0;
    for (int i = 1; i <= BINS; i++) {
      kept += bins[i - 1];
      if (i >= levels) {
        double divergence = divergence(i, kept, levels);
        if (divergence <= least) {
          least = divergence;
          best = i;
        }
      }
    }
    return Math.min(1, (best + 0.5) / BINS);
  }

  /** Between the first i bins, which hold {@code kept} values, and their merged form. */
  private double divergence(int i, double kept, int levels) {
    double beyond = total - kept;
    if (beyond > 0 && bins[i - 1] == 0) {
      return Double.POSITIVE_INFINITY;
    }
    double sum = 0;
    for (int level = 0; level < levels; level++) {
      int from = firstBin(level, i, levels);
      int to = firstBin(level + 1, i, levels);
      double q = meanOfFilled(from, to) / kept;
      for (int bin = from; bin < to; bin++) {
        if (bins[bin] > 0) {
          double p = (bins[bin] + (bin == i - 1 ? beyond : 0)) / total;
          sum += p * Math.log(p / q);
        }
      }
    }
    return sum;
  }

  /** The least bin whose level ⌊bin · levels / i⌋ is this one. */
  private static int firstBin(int level, int i, int levels) {
    return (level * i + levels - 1) / levels;
  }

  private double meanOfFilled(int from, int to) {
    double sum = 0;
    int filled = 0;
    for (int bin = from; bin < to; bin++) {
      sum += bins[bin];
      filled += bins[bin] > 0 ? 1 : 0;
    }
    return sum / Math.max(1, filled);
  }
}
