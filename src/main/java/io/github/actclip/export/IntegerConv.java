package io.github.actclip.export;

/** A convolution of codes. */
record IntegerConv(IntegerWeights weights, IntegerMatrix matrix, Window window, Grid input)
    implements IntegerOperation {

  static IntegerConv of(IntegerWeights weights, Window window, Grid input) {
    IntegerWeights alive = weights.withoutDead(input.scale());
    return new IntegerConv(alive, IntegerMatrix.of(alive, input), window, input);
  }

  @Override
  public Codes sums(Codes... inputs) {
    Codes x = inputs[0].without(input.zero());
    int channels = matrix.rows();
    int height = window.places(0, x.height());
    int width = window.places(1, x.width());
    Codes sums = new Codes(channels, height, width, new int[channels * height * width]);
    int[] patch = new int[matrix.columns()];
    int groups = (int) window.groups();
    for (int group = 0; group < groups; group++) {
      for (int place = 0; place < sums.plane(); place++) {
        copy(x, group, place / width, place % width, patch);
        for (int c = group * channels / groups; c < (group + 1) * channels / groups; c++) {
          sums.values()[c * sums.plane() + place] = matrix.times(c, patch);
        }
      }
    }
    return sums;
  }

  /** Copies what is in the window of a group; what is beyond the edge is 0. */
  private void copy(Codes x, int group, int row, int column, int[] patch) {
    int kernelWidth = (int) window.kernel()[1];
    int kernel = (int) window.kernel()[0] * kernelWidth;
    int first = group * (patch.length / kernel);
    for (int i = 0; i < patch.length; i++) {
      int place = i % kernel;
      int y = window.at(0, row, place / kernelWidth);
      int z = window.at(1, column, place % kernelWidth);
      boolean inside = y >= 0 && y < x.height() && z >= 0 && z < x.width();
      int plane = (first + i / kernel) * x.plane();
      patch[i] = inside ? x.values()[plane + y * x.width() + z] : 0;
    }
  }

  @Override
  public double[] scales() {
    return weights.sums(input.scale());
  }

  @Override
  public String write(OnnxGraph graph, String... inputs) {
    return graph.node("Conv", weights.operands(graph, input, inputs[0]), window.ofConv());
  }
}
