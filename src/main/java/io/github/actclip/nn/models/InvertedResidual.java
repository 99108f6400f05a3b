package io.github.actclip.nn.models;

import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import org.bytedeco.pytorch.Tensor;

/** Channels are multiplied, each convolved by itself, and mixed into few again. */
final class InvertedResidual extends Network {

  private final Sequential conv;
  private final boolean addsInput;

  InvertedResidual(Layers layers, int in, int out, int stride, int expansion) {
    addsInput = stride == 1 && in == out;
    int hidden = in * expansion;
    Sequential parts = new Sequential();
    if (expansion != 1) {
      parts.then(layers.convNormActivation(in, hidden, 1, 1, 1));
    }
    conv =
        register(
            "conv",
            parts
                .then(layers.convNormActivation(hidden, hidden, 3, stride, hidden))
                .then(layers.conv(hidden, out, 1, 1, 1), LayerGraph::conv)
                .then(layers.norm(out), LayerGraph::batchNorm));
  }

  @Override
  public Tensor forward(Tensor x) {
    return LayerGraph.eager().network(this, x);
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V x) {
    V y = graph.network(conv, x);
    return addsInput ? graph.add(x, y) : y;
  }
}
