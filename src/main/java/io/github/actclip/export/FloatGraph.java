package io.github.actclip.export;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.runtime.ActclipException;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.LinearImpl;

/** Writes a network in float32; batch normalisation behind a convolution becomes a part of it. */
final class FloatGraph implements LayerGraph<FloatValue> {

  private final OnnxGraph graph;
  private final WeightsByName names;
  private final FloatLimits limits;

  FloatGraph(OnnxGraph graph, WeightsByName names) {
    this.graph = graph;
    this.names = names;
    limits = new FloatLimits(graph);
  }

  @Override
  public FloatValue conv(Conv2dImpl conv, FloatValue x) {
    String name = names.of(conv.weight());
    Affine affine = Affine.of(name, conv, conv.weight(), conv.bias());
    return conv(new FloatValue.Convolution(affine, Window.of(name, conv), x));
  }

  private FloatValue conv(FloatValue.Convolution conv) {
    return FloatValue.of(
        conv,
        () ->
            graph.node(
                "Conv",
                List.of(
                    conv.input().name(),
                    conv.affine().writeWeight(graph),
                    conv.affine().writeBias(graph)),
                conv.window().ofConv()));
  }

  @Override
  public FloatValue linear(LinearImpl linear, FloatValue x) {
    String name = names.of(linear.weight());
    if (x.rank() != 2) {
      throw ActclipException.badInput(
          "the linear layer of %s is given %d dimensions, and only (B, inputs) can be exported:"
              + " flatten it first",
          name, x.rank());
    }
    Affine affine = Affine.of(name, linear, linear.weight(), linear.bias());
    return FloatValue.of(
        2,
        () ->
            graph.node(
                "Gemm",
                List.of(x.name(), affine.writeWeight(graph), affine.writeBias(graph)),
                OnnxGraph.number("transB", 1)));
  }

  @Override
  public FloatValue batchNorm(BatchNorm2dImpl norm, FloatValue x) {
    ChannelMap map = ChannelMap.of(norm);
    return x.convolution()
        .map(c -> conv(new FloatValue.Convolution(c.affine().then(map), c.window(), c.input())))
        .orElseGet(() -> FloatValue.of(x.rank(), () -> batchNorm(map, x)));
  }

  /** By a mean of 0 and a variance of 1, which {@code map} is in front of. */
  private String batchNorm(ChannelMap map, FloatValue x) {
    int channels = map.shift().length;
    double[] ones = new double[channels];
    Arrays.fill(ones, 1);
    return graph.node(
        "BatchNormalization",
        List.of(
            x.name(),
            graph.floats("norm.factor", map.factor(), channels),
            graph.floats("norm.shift", map.shift(), channels),
            graph.floats("norm.mean", new double[channels], channels),
            graph.floats("norm.variance", ones, channels)),
        OnnxGraph.number("epsilon", 0f));
  }

  @Override
  public FloatValue dropout(DropoutImpl dropout, FloatValue x) {
    return x;
  }

  @Override
  public FloatValue relu(FloatValue x) {
    return FloatValue.relu(x, () -> graph.node("Relu", List.of(x.name())));
  }

  @Override
  public FloatValue clip(Clip clip, FloatValue x) {
    return limits.clip(clip, x);
  }

  @Override
  public FloatValue fakeQuantize(FakeQuantize quantizer, FloatValue x) {
    return limits.fakeQuantize(quantizer, x);
  }

  @Override
  public FloatValue maxPool(int kernel, int stride, int padding, FloatValue x) {
    Window window = Window.pool(kernel, stride, padding);
    return FloatValue.of(4, () -> graph.node("MaxPool", List.of(x.name()), window.ofPool()));
  }

  @Override
  public FloatValue globalAveragePool(FloatValue x) {
    return flatten(FloatValue.of(4, () -> graph.node("GlobalAveragePool", List.of(x.name()))));
  }

  @Override
  public FloatValue flatten(FloatValue x) {
    return x.rank() == 2 ? x : FloatValue.of(2, () -> graph.node("Flatten", List.of(x.name())));
  }

  @Override
  public FloatValue add(FloatValue x, FloatValue y) {
    return FloatValue.of(x.rank(), () -> graph.node("Add", List.of(x.name(), y.name())));
  }
}
