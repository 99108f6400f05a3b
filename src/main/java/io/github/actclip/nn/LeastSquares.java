package io.github.actclip.nn;

/**
 * The search of {@link Calibration#MSE}; values and thresholds are fractions of the largest value.
 */
final class LeastSquares {

  private static final int FEW = 1 << 16;
  private static final int MANY = 1 << 20;

  private static final int OCTAVES = 10;
  private static final int CANDIDATES_PER_OCTAVE = 256;

  private final int size;

  /** Of the values in the bins below an index: how many there are, and their sum. */
  private final double[] countBelow;

  private final double[] sumBelow;

  LeastSquares(double[] bins) {
    size = bins.length;
    countBelow = new double[size + 1];
    sumBelow = new double[size + 1];
    for (int i = 0; i < size; i++) {
      countBelow[i + 1] = countBelow[i] + bins[i];
      sumBelow[i + 1] = sumBelow[i] + bins[i] * (i + 0.5) / size;
    }
  }

  /** How many bins suit that many values: a weight's few for each channel want no million. */
  static int bins(long values) {
    return values <= FEW ? FEW : MANY;
  }

  double bestThreshold(int steps) {
    double best = 1;
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i <= OCTAVES * CANDIDATES_PER_OCTAVE; i++) {
      double threshold = Math.pow(2, (double) -i / CANDIDATES_PER_OCTAVE);
      double error = squareError(threshold, steps);
      if (error < least) {
        least = error;
        best = threshold;
      }
    }
    return best;
  }

  /** Σ (q − x)² without its constant Σ x², level by level: q² count − 2 q Σ x. */
  private double squareError(double threshold, int steps) {
    double error = 0;
    int from = firstBinAbove(0.5 * threshold / steps);
    for (int level = 1; level <= steps; level++) {
      int to = level == steps ? size : firstBinAbove((level + 0.5) * threshold / steps);
      double q = level * threshold / steps;
      double count = countBelow[to] - countBelow[from];
      double sum = sumBelow[to] - sumBelow[from];
      error += q * (q * count - 2 * sum);
      from = to;
    }
    return error;
  }

  /** The first bin whose centre is not below that value. */
  private int firstBinAbove(double value) {
    return (int) Math.ceil(value * size - 0.5);
  }
}
