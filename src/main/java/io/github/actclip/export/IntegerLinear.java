package io.github.actclip.export;

/** A linear layer of codes. */
record IntegerLinear(IntegerWeights weights, IntegerMatrix matrix, Grid input)
    implements IntegerOperation {

  static IntegerLinear of(IntegerWeights weights, Grid input) {
    IntegerWeights alive = weights.withoutDead(input.scale());
    return new IntegerLinear(alive, IntegerMatrix.of(alive, input), input);
  }

  @Override
  public Codes sums(Codes... inputs) {
    int[] x = inputs[0].without(input.zero()).values();
    int[] sums = new int[matrix.rows()];
    for (int row = 0; row < sums.length; row++) {
      sums[row] = matrix.times(row, x);
    }
    return new Codes(sums.length, 1, 1, sums);
  }

  @Override
  public double[] scales() {
    return weights.sums(input.scale());
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return graph.node(
        "Gemm", weights.operands(graph, input, inputs[0]), OnnxGraph.number("transB", 1));
  }
}
