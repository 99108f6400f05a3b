package io.github.actclip.export;

import java.util.List;

/** The largest code of each window; what is beyond the edge counts for nothing. */
record IntegerPool(Window window) implements IntegerLayer {

  @Override
  public Codes run(Codes... inputs) {
    Codes x = inputs[0];
    int height = window.places(0, x.height());
    int width = window.places(1, x.width());
    int[] largest = new int[x.channels() * height * width];
    for (int i = 0; i < largest.length; i++) {
      int channel = i / (height * width);
      largest[i] = largest(x, channel, i / width % height, i % width);
    }
    return new Codes(x.channels(), height, width, largest);
  }

  private int largest(Codes x, int channel, int row, int column) {
    int top = window.at(0, row, 0);
    int left = window.at(1, column, 0);
    int bottom = (int) Math.min(top + window.kernel()[0], x.height());
    int right = (int) Math.min(left + window.kernel()[1], x.width());
    int largest = 0;
    for (int y = Math.max(top, 0); y < bottom; y++) {
      for (int z = Math.max(left, 0); z < right; z++) {
        largest = Math.max(largest, x.values()[(channel * x.height() + y) * x.width() + z]);
      }
    }
    return largest;
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return graph.node("MaxPool", List.of(inputs[0]), window.ofPool());
  }
}
