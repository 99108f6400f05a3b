package io.github.actclip.nn.models;

import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;

/**
 * A residual network of basic blocks, as torchvision's: {@code new ResNet(ResNetOptions.resnet18(3,
 * 1000))}, or with the stem for small images, {@link ResNetOptions#resnet20}.
 *
 * <p>The state dict has torchvision's names and shapes ({@code conv1.weight}, {@code
 * layer1.0.bn1.running_mean}, {@code layer2.0.downsample.0.weight}, {@code fc.bias}), and the
 * thresholds of what stands in the place of each ReLU: {@code act1.max}, {@code layer1.0.act1.max},
 * {@code layer1.0.act2.max}. All are float32, on the CPU, until the network is moved. Weights start
 * as torchvision's; after the same {@code manual_seed} they equal Python's.
 *
 * <p>{@link LibTorch#load} (or {@code Devices.auto()}) comes first. Make it outside of a {@link
 * TensorScope}, which would close it. In evaluation mode several threads may run the forward pass
 * at once as long as nobody changes the network; in training mode it changes the running statistics
 * itself.
 */
public final class ResNet extends Network {

  private final ResNetOptions options;
  private final Conv2dImpl conv1;
  private final BatchNorm2dImpl bn1;
  private final ThresholdLayer act1;
  private final List<Sequential> stages = new ArrayList<>();
  private final LinearImpl fc;

  /** A network on the CPU. */
  public ResNet(ResNetOptions options) {
    this.options = options;
    Layers layers = new Layers(options.activation());
    ResNetOptions.Stem stem = options.stem();
    int width = options.width();
    conv1 =
        register("conv1", layers.conv(options.inChannels(), width, stem.kernel, stem.stride, 1));
    bn1 = register("bn1", layers.norm(width));
    act1 = register("act1", layers.activation(width));
    int in = width;
    for (int i = 0; i < options.blocks().size(); i++) {
      int out = width << i;
      stages.add(register("layer" + (i + 1), stage(layers, options.blocks().get(i), in, out)));
      in = out;
    }
    fc = register("fc", layers.linear(in, options.numClasses()));
    Layers.startConvolutions(this);
    toChannelsLast();
    calibrateWeights();
  }

  private static Sequential stage(Layers layers, int blocks, int in, int out) {
    Sequential stage = new Sequential().then(new BasicBlock(layers, in, out, in == out ? 1 : 2));
    for (int i = 1; i < blocks; i++) {
      stage.then(new BasicBlock(layers, out, out, 1));
    }
    return stage;
  }

  /**
   * Computes the logits.
   *
   * @param images (B, C, H, W) of the network's dtype and on its device, of any size and memory
   *     format
   * @return (B, classes) of that dtype; the caller's scope owns it
   * @throws ActclipException bad input, when the network was closed, when the images are of another
   *     kind than it takes, or in training mode too few to normalise by
   */
  @Override
  public Tensor forward(Tensor images) {
    Inputs.requireOpen(this);
    Inputs.require("the images", images, fc.weight(), options.inChannels(), Inputs.ANY, Inputs.ANY);
    Inputs.requireSeveral(this, images, options.stride());
    return LayerGraph.eager().network(this, images.contiguous(Net.MEMORY_FORMAT));
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V images) {
    V x = graph.convBatchNormClip(conv1, bn1, act1, images);
    x = options.stem().pool(graph, x);
    for (Sequential stage : stages) {
      x = graph.network(stage, x);
    }
    return graph.linear(fc, graph.globalAveragePool(x));
  }

  /** What it was made with. */
  public ResNetOptions options() {
    return options;
  }

  @Override
  public String toString() {
    return "ResNet of " + options;
  }
}
