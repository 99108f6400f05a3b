package io.github.actclip.export;

/** Codes as they are, for another quantizer, or as the output. */
record IntegerSame(Grid input) implements IntegerOperation {

  @Override
  public Codes sums(Codes... inputs) {
    return inputs[0].without(input.zero());
  }

  @Override
  public double[] scales() {
    return new double[] {input.scale()};
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return input.dequantize(graph, inputs[0]);
  }
}
