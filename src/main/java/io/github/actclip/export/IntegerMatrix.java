package io.github.actclip.export;

/**
 * Weights as rows, one for each output channel, and the bias in steps of the sums.
 *
 * @param values row by row
 */
record IntegerMatrix(int[] values, int[] bias) {

  static IntegerMatrix of(IntegerWeights weights, Grid input) {
    int[] values = new int[weights.codes().length];
    for (int i = 0; i < values.length; i++) {
      values[i] = weights.codes()[i];
    }
    return new IntegerMatrix(values, weights.bias(input.scale()));
  }

  int rows() {
    return bias.length;
  }

  int columns() {
    return values.length / bias.length;
  }

  /** The bias, and the products of a row with these numbers. */
  int times(int row, int[] x) {
    int sum = bias[row];
    int first = row * x.length;
    for (int i = 0; i < x.length; i++) { // The JIT compiler makes vector instructions of this.
      sum += values[first + i] * x[i];
    }
    return sum;
  }
}
