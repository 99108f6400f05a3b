package io.github.actclip.export;

import java.util.List;

/** Leaves fewer codes than 8 bits have. */
record IntegerClamp(int low, int high) implements IntegerLayer {

  @Override
  public Codes run(Codes... inputs) {
    Codes x = inputs[0];
    int[] clamped = new int[x.values().length];
    for (int i = 0; i < clamped.length; i++) {
      clamped[i] = Math.min(Math.max(x.values()[i], low), high);
    }
    return new Codes(x.channels(), x.height(), x.width(), clamped);
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    String least = graph.bytes("low", false, new byte[] {(byte) low});
    String most = graph.bytes("high", false, new byte[] {(byte) high});
    return graph.node("Clip", List.of(inputs[0], least, most));
  }
}
