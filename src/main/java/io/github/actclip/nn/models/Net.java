package io.github.actclip.nn.models;

import static org.bytedeco.pytorch.global.torch.kaiming_normal_;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Blocks;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizedConv2d;
import io.github.actclip.nn.QuantizedLinear;
import io.github.actclip.nn.Threshold;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.MemoryFormat;

/**
 * The network of the question "What is the right way to clip ReLU activations with a learnable
 * threshold in PyTorch?", with the threshold as a parameter that any optimizer updates.
 *
 * <p>Shapes for the original's 3×32×32 images:
 *
 * <pre>
 * conv1  Conv2d(3, 32, kernel 5)     32×28×28
 * pool   MaxPool2d(2, 2)             32×14×14
 * relu, clip to act_max              32×14×14
 * conv2  Conv2d(32, 64, kernel 5)    64×10×10
 * pool, relu                         64×5×5
 * linear Linear(64·5·5, 10)          10 logits
 * </pre>
 *
 * <p>Parameters, by the names and in the order of the Python original's state dict: {@code act_max}
 * (1), {@code conv1.weight} (32, 3, 5, 5), {@code conv1.bias} (32), {@code conv2.weight} (64, 32,
 * 5, 5), {@code conv2.bias} (64), {@code linear.weight} (10, 1600), {@code linear.bias} (10). All
 * are float32, unless the network is moved to float64, {@code net.to(ScalarType.Double, false)}.
 * Weights start as {@code torch.nn.init.kaiming_normal_} makes them, biases as {@code torch.nn}
 * does, {@code act_max} as 1; after the same {@code manual_seed} they equal Python's.
 *
 * <p>With another way to clip, the parameters of its layer stand in the place of {@code act_max},
 * by their names there after {@code act_}, such as {@code act_min}; quantizers of weights come
 * last, such as {@code conv1_quantizer.scale} (32). {@link ActivationOptions} says which ways there
 * are.
 *
 * <p>By the native backend it has no second derivative, except for a few images where the kernels
 * have no convolution: see {@link Blocks}.
 *
 * <p>{@link LibTorch#load} (or {@code Devices.auto()}) comes first: the initialiser of {@link
 * Module} loads LibTorch, too, but does not survive a cold cache beside another libtorch.
 *
 * <p>Make it outside of a {@link io.github.actclip.runtime.TensorScope}, which would close it. The
 * forward pass may run in several threads at once as long as nobody changes the parameters.
 */
public final class Net extends Network {

  /** The memory format of convolutions, weights and activations: oneDNN is fastest with it. */
  public static final MemoryFormat MEMORY_FORMAT = MemoryFormat.ChannelsLast;

  static final int KERNEL_SIZE = 5;
  static final int POOL_SIZE = 2;
  static final int CONV1_CHANNELS = 32;
  static final int CONV2_CHANNELS = 64;

  private final NetOptions options;
  private final ThresholdLayer activation;

  /** Not so with a layer of a user's own, whose form no file would know. */
  private final boolean describedByOptions;

  private final Conv2dImpl conv1;
  private final Conv2dImpl conv2;
  private final LinearImpl linear;

  /** By the names of their layers: in the state dict they come after all of those. */
  private final Map<String, FakeQuantize> weightQuantizers = new LinkedHashMap<>();

  /** The original network, on the CPU. */
  public Net() {
    this(NetOptions.original());
  }

  /**
   * A network for images and classes of another number or size, or that clips otherwise, on the
   * CPU.
   */
  public Net(NetOptions options) {
    this(options, options.activation().layer(CONV1_CHANNELS), true);
  }

  /**
   * A network with a layer of your own to clip the activations of the first convolution, on the
   * CPU.
   *
   * @param activation takes (B, 32, H, W); its parameters become the network's. What the options
   *     say about activations is then for the weights alone.
   */
  public Net(NetOptions options, ThresholdLayer activation) {
    this(options, activation, false);
  }

  private Net(NetOptions options, ThresholdLayer activation, boolean describedByOptions) {
    this.options = options;
    this.activation = activation;
    this.describedByOptions = describedByOptions;
    Arguments.requireOpen("the layer", activation);
    activation.retainReference(); // no child, which a network would keep
    for (Threshold threshold : activation.thresholds()) {
      Tensor parameter = threshold.parameter();
      register_parameter("act_" + threshold.parameterName(), parameter, parameter.requires_grad());
    }
    conv1 = register("conv1", conv("conv1", options.inChannels(), CONV1_CHANNELS));
    conv2 = register("conv2", conv("conv2", CONV1_CHANNELS, CONV2_CHANNELS));
    linear = register("linear", linear("linear", options.flattenedSize(), options.numClasses()));
    kaiming_normal_(conv1.weight());
    kaiming_normal_(conv2.weight());
    kaiming_normal_(linear.weight());
    toChannelsLast();
    weightQuantizers.forEach((name, quantizer) -> register(name + "_quantizer", quantizer));
    calibrateWeights();
  }

  /**
   * Computes the logits.
   *
   * @param images (B, C, H, W) of the network's dtype (float32, or float64 where it was moved to
   *     it) and on its device, in any memory format
   * @return (B, classes) of that dtype; the caller's scope owns it
   * @throws ActclipException when the network was closed, or the images have another shape or dtype
   *     than the network takes
   */
  @Override
  public Tensor forward(Tensor images) {
    Inputs.requireOpen(this);
    long size = options.imageSize();
    Inputs.require("the images", images, linear.weight(), options.inChannels(), size, size);
    return describe(LayerGraph.eager(), images.contiguous(MEMORY_FORMAT));
  }

  @Override
  public <V> V describe(LayerGraph<V> graph, V images) {
    V x = graph.convMaxPoolClip(conv1, activation, images);
    return graph.linear(linear, graph.flatten(graph.convMaxPoolRelu(conv2, x)));
  }

  /** The layer that limits the activations; it is this network's. */
  public ThresholdLayer activation() {
    return activation;
  }

  /**
   * The parameter of its first threshold: by default {@code act_max} itself, (1) float32, owned by
   * this network.
   *
   * @throws ActclipException bad input, when it has none, as with {@link ActivationOptions#relu}
   */
  public Tensor actMax() {
    return activation.thresholds().stream()
        .findFirst()
        .orElseThrow(
            () -> ActclipException.badInput("this network has no threshold: it is %s", this))
        .parameter();
  }

  /**
   * The value above which activations are clipped, its mean over the channels; by default {@code
   * act_max}; infinity where it does not clip.
   */
  public double threshold() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return activation.upper().mean().item_double();
    }
  }

  @Override
  public String toString() {
    return "Net" + (describedByOptions ? "" : " with a layer of its own") + " of " + options;
  }

  /** What this network was made with. */
  public NetOptions options() {
    return options;
  }

  private Conv2dImpl conv(String name, int inChannels, int outChannels) {
    LongPointer kernel = new LongPointer(KERNEL_SIZE, KERNEL_SIZE);
    Conv2dOptions shape = new Conv2dOptions(inChannels, outChannels, kernel);
    return quantizesWeights()
        ? new QuantizedConv2d(shape, quantizer(name, outChannels))
        : new Conv2dImpl(shape);
  }

  private LinearImpl linear(String name, long inputs, int outputs) {
    LinearOptions shape = new LinearOptions(inputs, outputs);
    return quantizesWeights()
        ? new QuantizedLinear(shape, quantizer(name, outputs))
        : new LinearImpl(shape);
  }

  private boolean quantizesWeights() {
    return options.activation().quantizesWeights();
  }

  private FakeQuantize quantizer(String name, int channels) {
    FakeQuantize quantizer = new FakeQuantize(options.activation().weights(channels));
    weightQuantizers.put(name, quantizer);
    return quantizer;
  }
}
