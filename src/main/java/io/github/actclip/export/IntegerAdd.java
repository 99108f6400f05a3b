package io.github.actclip.export;

import java.util.List;

/**
 * The sum of two, in steps of 2^−20 of the larger scale, as in TensorFlow Lite: each is brought to
 * them by a multiplier.
 */
record IntegerAdd(Grid left, Grid right) implements IntegerOperation {

  private static final int BITS = 20;

  @Override
  public Codes sums(Codes... inputs) {
    Codes x = inputs[0].without(left.zero());
    int[] y = inputs[1].without(right.zero()).values();
    int ofLeft = multiplier(left);
    int ofRight = multiplier(right);
    int[] sums = new int[y.length];
    for (int i = 0; i < sums.length; i++) {
      sums[i] = ofLeft * x.values()[i] + ofRight * y[i];
    }
    return new Codes(x.channels(), x.height(), x.width(), sums);
  }

  private int multiplier(Grid grid) {
    return (int) Math.rint(grid.scale() / scale());
  }

  private double scale() {
    return Math.scalb(Math.max(left.scale(), right.scale()), -BITS);
  }

  @Override
  public double[] scales() {
    return new double[] {scale()};
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return graph.node(
        "Add", List.of(left.dequantize(graph, inputs[0]), right.dequantize(graph, inputs[1])));
  }
}
