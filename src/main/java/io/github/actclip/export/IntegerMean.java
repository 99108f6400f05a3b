package io.github.actclip.export;

import java.util.List;

/** The mean of each channel, as a sum of which 1 stands for less. */
record IntegerMean(Grid input, int plane) implements IntegerOperation {

  @Override
  public Codes sums(Codes... inputs) {
    Codes x = inputs[0].without(input.zero());
    int[] sums = new int[x.channels()];
    for (int i = 0; i < x.values().length; i++) {
      sums[i / x.plane()] += x.values()[i];
    }
    return new Codes(sums.length, 1, 1, sums);
  }

  @Override
  public double[] scales() {
    return new double[] {input.scale() / plane};
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return graph.node("GlobalAveragePool", List.of(input.dequantize(graph, inputs[0])));
  }
}
