package io.github.actclip.nn.models;

import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.ThresholdLayer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Tensor;

/** Two 3×3 convolutions, and around them what came in. */
final class BasicBlock extends Network {

  private final Conv2dImpl conv1;
  private final BatchNorm2dImpl bn1;
  private final ThresholdLayer act1;
  private final Conv2dImpl conv2;
  private final BatchNorm2dImpl bn2;
  private final ThresholdLayer act2;

  /** Does nothing where sizes stay as they are. */
  private final Sequential downsample;

  BasicBlock(Layers layers, int in, int out, int stride) {
    boolean same = in == out && stride == 1;
    // Made first, as in torchvision, so that the same random numbers are drawn for it.
    downsample = same ? new Sequential() : layers.convNorm(in, out, 1, stride, 1);
    conv1 = register("conv1", layers.conv(in, out, 3, stride, 1));
    bn1 = register("bn1", layers.norm(out));
    act1 = register("act1", layers.activation(out));
    conv2 = register("conv2", layers.conv(out, out, 3, 1, 1));
    bn2 = register("bn2", layers.norm(out));
    act2 = register("act2", layers.activation(out));
    register("downsample", downsample);
  }

  @Override
  public Tensor forward(Tensor x) {
    return LayerGraph.eager().network(this, x);
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V x) {
    V y = graph.convBatchNormClip(conv1, bn1, act1, x);
    return graph.convBatchNormAddClip(conv2, bn2, act2, y, graph.network(downsample, x));
  }
}
