package io.github.actclip.nn.models;

import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.ThresholdLayer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;

/**
 * Modules one after the other, by the names 0, 1, 2, … as in Python's {@code Sequential}. The
 * presets' own cannot run a module that is written in Java.
 */
final class Sequential extends Network {

  /** Says what a module does, to something that nobody needs after it. */
  interface Description<M> {
    <V> V describe(LayerGraph<V> graph, M module, V x);
  }

  private interface Step {
    <V> V describe(LayerGraph<V> graph, V x);
  }

  private record Call<M>(M module, Description<M> description) implements Step {
    @Override
    public <V> V describe(LayerGraph<V> graph, V x) {
      return description.describe(graph, module, x);
    }
  }

  private record ConvNormActivation(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer activation) implements Step {
    @Override
    public <V> V describe(LayerGraph<V> graph, V x) {
      return graph.convBatchNormClip(conv, norm, activation, x);
    }
  }

  private final List<Step> steps = new ArrayList<>();
  private int count;

  /** Adds a module. */
  <M extends Module> Sequential then(M module, Description<M> description) {
    add(module);
    steps.add(new Call<>(module, description));
    return this;
  }

  Sequential then(Network network) {
    return then(network, LayerGraph::network);
  }

  /** Adds three modules that go as one. */
  Sequential thenConvNormActivation(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer activation) {
    add(conv);
    add(norm);
    add(activation);
    steps.add(new ConvNormActivation(conv, norm, activation));
    return this;
  }

  private void add(Module module) {
    register(Integer.toString(count++), module);
  }

  @Override
  public Tensor forward(Tensor x) {
    return LayerGraph.eager().network(this, x);
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V x) {
    V y = x;
    for (Step step : steps) {
      y = step.describe(graph, y);
    }
    return y;
  }
}
