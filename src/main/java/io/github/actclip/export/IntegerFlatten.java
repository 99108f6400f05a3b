package io.github.actclip.export;

import java.util.List;

/** All numbers in one row. */
record IntegerFlatten() implements IntegerLayer {

  @Override
  public Codes run(Codes... inputs) {
    return inputs[0].flat();
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return graph.node("Flatten", List.of(inputs[0]));
  }
}
