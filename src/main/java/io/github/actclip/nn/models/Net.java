package io.github.actclip.nn.models;

import static org.bytedeco.pytorch.global.torch.kaiming_normal_;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.Threshold;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

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
 * have no convolution: see {@link Clip} and {@link ClipFunctions#convMaxPoolClip}.
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

  // Stride and dilation, and padding, of the convolutions.
  private static final long[] ONES = {1, 1};
  private static final long[] ZEROS = {0, 0};

  private final NetOptions options;
  private final ThresholdLayer activation;
  private final boolean describedByOptions;
  private final Conv2dImpl conv1;
  private final Conv2dImpl conv2;
  private final LinearImpl linear;
  private final List<FakeQuantize> weightQuantizers;

  /** The original network, on the CPU. */
  public Net() {
    this(NetOptions.original());
  }

  /**
   * A network for images and classes of another number or size, or that clips otherwise, on the
   * CPU.
   */
  public Net(NetOptions options) {
    this(options, null);
  }

  /**
   * A network with a layer of your own to clip the activations of the first convolution, on the
   * CPU.
   *
   * @param activation takes (B, 32, H, W); its parameters become the network's. What the options
   *     say about activations is then for the weights alone.
   */
  public Net(NetOptions options, ThresholdLayer activation) {
    super("Net");
    this.options = options;
    describedByOptions = activation == null;
    this.activation = activation == null ? options.activation().layer(CONV1_CHANNELS) : activation;
    this.activation.requireOpen();
    for (Threshold threshold : this.activation.thresholds()) {
      Tensor parameter = threshold.parameter();
      register_parameter("act_" + threshold.parameterName(), parameter, parameter.requires_grad());
    }
    conv1 = register("conv1", conv(options.inChannels(), CONV1_CHANNELS));
    conv2 = register("conv2", conv(CONV1_CHANNELS, CONV2_CHANNELS));
    linear = register("linear", new LinearImpl(options.flattenedSize(), options.numClasses()));
    kaiming_normal_(conv1.weight());
    kaiming_normal_(conv2.weight());
    kaiming_normal_(linear.weight());
    toChannelsLast();
    weightQuantizers =
        options.activation().weightBits() == 0
            ? List.of()
            : List.of(
                quantizer("conv1_quantizer", conv1.weight()),
                quantizer("conv2_quantizer", conv2.weight()),
                quantizer("linear_quantizer", linear.weight()));
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
    requireImages(images);
    Tensor x = block1(images.contiguous(MEMORY_FORMAT));
    return linear(block2(x).flatten(1, -1));
  }

  private Tensor block1(Tensor pixels) {
    Optional<Tensor> threshold = activation.poolThreshold();
    Tensor x = threshold.isEmpty() ? null : inOnePass(pixels, conv1, threshold.get());
    if (x == null) {
      return activation.forwardPooled(convolve(pixels, conv1, 0));
    }
    activation.observePooled(() -> convolve(pixels, conv1, 0));
    return x;
  }

  private Tensor block2(Tensor activations) {
    Tensor x = inOnePass(activations, conv2, null);
    return x == null ? ClipFunctions.maxPoolRelu(convolve(activations, conv2, 1)) : x;
  }

  /** The convolution with what follows it; null where that cannot be. */
  private Tensor inOnePass(Tensor x, Conv2dImpl conv, Tensor t) {
    return weightQuantizers.isEmpty()
        ? ClipFunctions.convMaxPoolClip(x, conv.weight(), conv.bias(), t)
        : null;
  }

  /**
   * Sets the thresholds from the activations that some images cause; for a start before training.
   *
   * @param images as {@link #forward} takes them
   * @throws ActclipException as {@link ThresholdLayer#calibrate} does
   */
  @Override
  public void calibrate(Tensor images, Calibration calibration) {
    requireImages(images);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      activation.calibrate(activation.pooled(conv1(images)), calibration);
    }
  }

  /**
   * What the layers give for some images, to look into a network: it takes longer than {@link
   * #forward}.
   *
   * @param images as {@link #forward} takes them
   * @return the output of {@code conv1}, {@code act} (the pooled activations, limited), {@code
   *     conv2} and {@code linear}; the caller's scope owns them
   */
  public Map<String, Tensor> outputs(Tensor images) {
    requireImages(images);
    Map<String, Tensor> outputs = new LinkedHashMap<>();
    Tensor x = conv1(images);
    outputs.put("conv1", x);
    x = activation.limitPooled(x);
    outputs.put("act", x);
    x = convolve(x, conv2, 1);
    outputs.put("conv2", x);
    x = ClipFunctions.maxPoolRelu(x);
    outputs.put("linear", linear(x.flatten(1, -1)));
    return outputs;
  }

  /**
   * What the layer that limits the activations sees for some images.
   *
   * @param images as {@link #forward} takes them, at least one
   */
  public ActivationStatistics statistics(Tensor images) {
    requireImages(images);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return activation.statistics(activation.pooled(conv1(images)));
    }
  }

  /**
   * Whether {@link #options} say all that this network is: not so with a layer of your own, whose
   * form no file would know.
   */
  public boolean isDescribedByOptions() {
    return describedByOptions;
  }

  /** The layer that limits the activations; it is this network's. */
  public ThresholdLayer activation() {
    return activation;
  }

  /**
   * The parameter of its first threshold: by default {@code act_max} itself, (1) float32, owned by
   * this network.
   */
  public Tensor actMax() {
    return activation.thresholds().get(0).parameter();
  }

  /**
   * The value above which activations are clipped, its mean over the channels; by default {@code
   * act_max}.
   */
  public double threshold() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return activation.upper().mean().item_double();
    }
  }

  /** What this network was made with. */
  public NetOptions options() {
    return options;
  }

  private void requireImages(Tensor images) {
    if (isNull()) { // Its convolutions went with it.
      throw ActclipException.badInput(
          "this network was closed: make it outside of the scope that closed it");
    }
    Arguments.requireOpen("the images", images);
    long[] wanted = {options.inChannels(), options.imageSize(), options.imageSize()};
    long[] shape = images.shape();
    if (shape.length != 4 || !Arrays.equals(shape, 1, 4, wanted, 0, 3)) {
      throw ActclipException.badInput(
          "the images have the shape %s: this network takes (B, %d, %d, %d)",
          Arrays.toString(shape), wanted[0], wanted[1], wanted[2]);
    }
    ScalarType given = images.scalar_type().intern();
    ScalarType taken = actMax().scalar_type().intern();
    if (given != taken) {
      throw ActclipException.badInput("the images are %s: this network takes %s", given, taken);
    }
    Arguments.requireStrided("the images", images, "this network");
    Arguments.requireSameDevice("the images are", images, "the network is", actMax());
  }

  private Tensor conv1(Tensor images) {
    return convolve(images.contiguous(MEMORY_FORMAT), conv1, 0);
  }

  private Tensor convolve(Tensor x, Conv2dImpl conv, int quantizer) {
    if (weightQuantizers.isEmpty()) {
      return conv.forward(x);
    }
    // Not by forward, which counts its calls: a look at the network leaves no trace in it.
    Tensor weight = weightQuantizers.get(quantizer).limit(conv.weight());
    return torch.conv2d(x, weight, new TensorOptional(conv.bias()), ONES, ZEROS, ONES, 1);
  }

  private Tensor linear(Tensor x) {
    return weightQuantizers.isEmpty()
        ? linear.forward(x)
        : torch.linear(x, weightQuantizers.get(2).limit(linear.weight()), linear.bias());
  }

  private FakeQuantize quantizer(String name, Tensor weight) {
    ActivationOptions activations = options.activation();
    FakeQuantize quantizer =
        new FakeQuantize(
            FakeQuantizeOptions.weights(
                activations.quantization(),
                activations.weightBits(),
                Math.toIntExact(weight.size(0))));
    quantizer.calibrate(weight, Calibration.MSE);
    return register(name, quantizer);
  }

  private static Conv2dImpl conv(int inChannels, int outChannels) {
    return new Conv2dImpl(
        new Conv2dOptions(inChannels, outChannels, new LongPointer(KERNEL_SIZE, KERNEL_SIZE)));
  }
}
