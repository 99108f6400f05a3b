package io.github.actclip.nn;

import java.util.Arrays;

/**
 * The search of {@link Calibration#MSE}; values and thresholds are fractions of the largest value.
 */
final class LeastSquares {

  /** So many values, such as a weight's of a channel, want no million bins. */
  private static final int FEW = 1 << 16;

  private static final int MANY = 1 << 20;

  private static final int OCTAVES = 10;
  private static final int CANDIDATES_PER_OCTAVE = 256;
  private static final int CANDIDATES = OCTAVES * CANDIDATES_PER_OCTAVE + 1;

  private final int size;
  private final int steps;

  /** Candidate by candidate, what the levels above 0 are, and the first bin of each. */
  private final double[] levels;

  private final int[] firstBins;

  /**
   * A search for tensors of so many values.
   *
   * @param steps of the quantizer, from 0 to the threshold
   */
  LeastSquares(long count, int steps) {
    size = count <= FEW ? FEW : MANY;
    this.steps = steps;
    levels = new double[CANDIDATES * steps];
    firstBins = new int[levels.length];
    for (int at = 0; at < levels.length; at++) {
      double threshold = candidate(at / steps);
      int below = at % steps;
      levels[at] = (below + 1) * threshold / steps;
      firstBins[at] = firstBinAbove((below + 0.5) * threshold / steps);
    }
  }

  private static double candidate(int i) {
    return Math.pow(2, (double) -i / CANDIDATES_PER_OCTAVE);
  }

  /** The first bin whose centre is not below that value. */
  private int firstBinAbove(double value) {
    return (int) Math.ceil(value * size - 0.5);
  }

  double bestThreshold(PositivePart values) {
    if (size == FEW) {
      int[] bins = values.bins(size);
      double[] ones = new double[bins.length];
      Arrays.fill(ones, 1);
      return bestThreshold(bins, ones);
    }
    double[] counts = values.histogram(size);
    int[] filled = new int[size];
    int length = 0;
    for (int bin = 0; bin < size; bin++) {
      if (counts[bin] > 0) {
        counts[length] = counts[bin];
        filled[length++] = bin;
      }
    }
    return bestThreshold(Arrays.copyOf(filled, length), counts);
  }

  /** Of so many values in these bins, which ascend. */
  private double bestThreshold(int[] bins, double[] counts) {
    double[] countBelow = new double[bins.length + 1];
    double[] sumBelow = new double[bins.length + 1];
    for (int i = 0; i < bins.length; i++) {
      countBelow[i + 1] = countBelow[i] + counts[i];
      sumBelow[i + 1] = sumBelow[i] + counts[i] * (bins[i] + 0.5) / size;
    }
    int[] begins = new int[steps + 1]; // of the levels among the bins; they only move down
    Arrays.fill(begins, bins.length);
    int best = 0;
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i < CANDIDATES; i++) {
      moveDown(begins, bins, i);
      double error = squareError(i, begins, countBelow, sumBelow);
      if (error < least) {
        least = error;
        best = i;
      }
    }
    return candidate(best);
  }

  private void moveDown(int[] begins, int[] bins, int candidate) {
    for (int level = 0; level < steps; level++) {
      int first = firstBins[candidate * steps + level];
      while (begins[level] > 0 && bins[begins[level] - 1] >= first) {
        begins[level]--;
      }
    }
  }

  /** Σ (q − x)² without its constant Σ x², level by level: q² count − 2 q Σ x. */
  private double squareError(int candidate, int[] begins, double[] countBelow, double[] sumBelow) {
    double error = 0;
    for (int level = 0; level < steps; level++) {
      double q = levels[candidate * steps + level];
      int from = begins[level];
      int to = begins[level + 1];
      error += q * (q * (countBelow[to] - countBelow[from]) - 2 * (sumBelow[to] - sumBelow[from]));
    }
    return error;
  }
}
