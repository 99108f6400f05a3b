package io.github.actclip.nn.models;

import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;

/**
 * Linear layers with a ReLU that clips between them, as {@code torchvision.ops.MLP}: {@code new
 * Mlp(new MlpOptions(784, List.of(256, 128), 10, ActivationOptions.relu()))}.
 *
 * <p>The state dict has torchvision's names, in which each linear layer is followed by a ReLU and a
 * dropout, so that they are numbered by three: {@code 0.weight}, {@code 0.bias}, {@code 3.weight},
 * … The thresholds have the numbers of the ReLUs: {@code 1.max}, {@code 4.max}. All are float32, on
 * the CPU, until the network is moved. Weights start as LibTorch's; after the same {@code
 * manual_seed} they equal Python's.
 *
 * <p>{@link LibTorch#load} (or {@code Devices.auto()}) comes first. Make it outside of a {@link
 * TensorScope}, which would close it. Several threads may run the forward pass at once as long as
 * nobody changes the network.
 */
public final class Mlp extends Network {

  /** Linear, ReLU and, in torchvision, dropout. */
  private static final int MODULES_OF_A_LAYER = 3;

  private final MlpOptions options;
  private final List<LinearImpl> hidden = new ArrayList<>();
  private final List<ThresholdLayer> activations = new ArrayList<>();
  private final LinearImpl output;

  /** A network on the CPU. */
  public Mlp(MlpOptions options) {
    this.options = options;
    Layers layers = new Layers(options.activation());
    int in = options.inFeatures();
    int name = 0;
    for (int out : options.hidden()) {
      hidden.add(register(Integer.toString(name), layers.linear(in, out)));
      activations.add(register(Integer.toString(name + 1), layers.activation(out)));
      in = out;
      name += MODULES_OF_A_LAYER;
    }
    output = register(Integer.toString(name), layers.linear(in, options.outFeatures()));
    calibrateWeights();
  }

  /**
   * Computes the output.
   *
   * @param x (B, …), of the network's dtype and on its device, each sample with as many numbers as
   *     it has inputs: an image, for example, is taken pixel by pixel
   * @return (B, outputs) of that dtype; the caller's scope owns it
   * @throws ActclipException bad input, when the network was closed, or the samples are of another
   *     kind than it takes
   */
  @Override
  public Tensor forward(Tensor x) {
    Inputs.requireOpen(this);
    Arguments.requireTensor("the samples", x);
    try (TensorScope scope = new TensorScope()) {
      Tensor y = x.dim() > 2 ? x.flatten(1, -1) : x;
      Inputs.require("the samples", y, output.weight(), options.inFeatures());
      return scope.pass(describe(LayerGraph.eager(), y));
    }
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V x) {
    V y = graph.flatten(x);
    for (int i = 0; i < hidden.size(); i++) {
      y = graph.reluClip(activations.get(i), graph.linear(hidden.get(i), y));
    }
    return graph.linear(output, y);
  }

  /** What it was made with. */
  public MlpOptions options() {
    return options;
  }

  @Override
  public String toString() {
    return "Mlp of " + options;
  }
}
