package io.github.actclip.nn.models;

import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.List;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Torchvision's MobileNetV2, of inverted residuals with depthwise convolutions; each ReLU6 is a
 * clip, which starts at 6 by default and is learned.
 *
 * <p>The state dict has torchvision's names and shapes ({@code features.0.0.weight}, {@code
 * features.1.conv.0.1.running_mean}, {@code classifier.1.bias}), and the thresholds where
 * torchvision has its ReLU6: {@code features.0.2.max}, {@code features.1.conv.0.2.max}. All are
 * float32, on the CPU, until the network is moved. Weights start as torchvision's; after the same
 * {@code manual_seed} they equal Python's.
 *
 * <p>{@link LibTorch#load} (or {@code Devices.auto()}) comes first. Make it outside of a {@link
 * TensorScope}, which would close it. In evaluation mode several threads may run the forward pass
 * at once as long as nobody changes the network; in training mode it changes the running statistics
 * itself.
 */
public final class MobileNetV2 extends Network {

  /** Blocks of as many channels; the first of them has the stride. */
  record Stage(int expansion, int channels, int blocks, int stride) {}

  static final List<Stage> STAGES =
      List.of(
          new Stage(1, 16, 1, 1),
          new Stage(6, 24, 2, 2),
          new Stage(6, 32, 3, 2),
          new Stage(6, 64, 4, 2),
          new Stage(6, 96, 3, 1),
          new Stage(6, 160, 3, 2),
          new Stage(6, 320, 1, 1));

  static final int STEM_CHANNELS = 32;

  private static final int STRIDE = 32;
  private static final double LINEAR_DEVIATION = 0.01;

  private final MobileNetV2Options options;
  private final Sequential features;
  private final Sequential classifier;
  private final LinearImpl linear;

  /** A network on the CPU. */
  public MobileNetV2(MobileNetV2Options options) {
    this.options = options;
    Layers layers = new Layers(options.activation());
    features = register("features", features(layers));
    linear = layers.linear(options.lastChannels(), options.numClasses());
    classifier =
        register(
            "classifier",
            new Sequential()
                .then(new DropoutImpl(options.dropout()), LayerGraph::dropout)
                .then(linear, LayerGraph::linear));
    Layers.startConvolutions(this);
    torch.normal_(linear.weight(), 0, LINEAR_DEVIATION);
    torch.zeros_(linear.bias());
    toChannelsLast();
    calibrateWeights();
  }

  private Sequential features(Layers layers) {
    int in = options.channels(STEM_CHANNELS);
    Sequential features =
        new Sequential().then(layers.convNormActivation(options.inChannels(), in, 3, 2, 1));
    for (Stage stage : STAGES) {
      int out = options.channels(stage.channels());
      for (int i = 0; i < stage.blocks(); i++) {
        int stride = i == 0 ? stage.stride() : 1;
        features.then(new InvertedResidual(layers, in, out, stride, stage.expansion()));
        in = out;
      }
    }
    return features.then(layers.convNormActivation(in, options.lastChannels(), 1, 1, 1));
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
    Inputs.require(
        "the images", images, linear.weight(), options.inChannels(), Inputs.ANY, Inputs.ANY);
    Inputs.requireSeveral(this, images, STRIDE);
    return LayerGraph.eager().network(this, images.contiguous(Net.MEMORY_FORMAT));
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V images) {
    V x = graph.globalAveragePool(graph.network(features, images));
    return graph.network(classifier, x);
  }

  /** What it was made with. */
  public MobileNetV2Options options() {
    return options;
  }

  @Override
  public String toString() {
    return "MobileNetV2 of " + options;
  }
}
