package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * A convolution whose weight is fake-quantized, as {@code torch.ao.nn.qat.Conv2d}: the parameters
 * {@code weight} and {@code bias} are LibTorch's, and learn; {@link #forward} convolves with what
 * the quantizer makes of the weight. The threshold learns, too, as {@code weight_fake_quant.scale}
 * for example.
 *
 * <p>Stride, padding, dilation and groups are as for {@code Conv2d}; padding must be given as
 * numbers, and be of zeros.
 *
 * <p>Only a call of {@link #forward} quantizes: what calls LibTorch's own in C++, such as a {@code
 * SequentialImpl} that it was pushed into, silently computes with the weight as it is.
 *
 * <p>Make it outside of a {@link TensorScope}, which would close it. The forward pass may run in
 * several threads at once as long as nobody changes the parameters.
 */
public final class QuantizedConv2d extends Conv2dImpl {

  private final FakeQuantize quantizer;
  private final ConvGeometry geometry;

  /**
   * A convolution on the CPU whose quantizer is its child {@code weight_fake_quant}, and starts
   * from the weight, by {@link Calibration#MSE}. After another start of the weight, call {@link
   * Network#calibrateWeights}.
   *
   * @param weights such as {@link FakeQuantizeOptions#weights}, of one scale or one for each output
   *     channel
   * @throws ActclipException bad input, when the options are of another kind than it takes, or the
   *     scales are of another number
   */
  public QuantizedConv2d(Conv2dOptions options, FakeQuantizeOptions weights) {
    this(options, new FakeQuantize(weights));
    register_module(QuantizedLinear.CHILD, quantizer);
    quantizer.calibrateWeight();
  }

  /**
   * A convolution on the CPU with a quantizer of yours, which you register by a name of yours, and
   * calibrate.
   *
   * @param quantizer is kept, also beyond the end of a scope that is open now, for as long as the
   *     convolution is there
   * @throws ActclipException bad input, when the options are of another kind than it takes
   */
  public QuantizedConv2d(Conv2dOptions options, FakeQuantize quantizer) {
    super(options);
    Arguments.requireOpen("the quantizer", quantizer);
    quantizer.retainReference(); // a scope that is open now may end before this does
    this.quantizer = quantizer;
    quantizer.quantizes(this::weight);
    geometry = ConvGeometry.of(this, QuantizedConv2d::refusal);
  }

  /** What the weight is convolved as; its threshold is learned. */
  public FakeQuantize quantizer() {
    return quantizer;
  }

  /**
   * Convolves with the quantized weight.
   *
   * @param x (B, C, H, W) or (C, H, W), of the dtype and on the device of the weight
   * @return the caller's scope owns it
   * @throws ActclipException bad input, when this or x was closed
   */
  @Override
  public Tensor forward(Tensor x) {
    Arguments.requireOpen("the convolution", this);
    Arguments.requireTensor("the activations", x);
    Tensor weight = quantizer.limit(weight());
    return torch.conv2d(
        x,
        weight,
        new TensorOptional(bias()),
        geometry.stride(),
        geometry.padding(),
        geometry.dilation(),
        geometry.groups());
  }

  private static ActclipException refusal() {
    return ActclipException.badInput(
        "a quantized convolution takes a padding of zeros, as two numbers, and these options have"
            + " another: pad what it is given by torch.pad");
  }
}
