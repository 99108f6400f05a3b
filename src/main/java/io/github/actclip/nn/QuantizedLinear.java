package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A linear layer whose weight is fake-quantized, as {@code torch.ao.nn.qat.Linear}: the parameters
 * {@code weight} and {@code bias} are LibTorch's, and learn; {@link #forward} multiplies by what
 * the quantizer makes of the weight. The threshold learns, too, as {@code weight_fake_quant.scale}
 * for example.
 *
 * <p>Only a call of {@link #forward} quantizes: what calls LibTorch's own in C++, such as a {@code
 * SequentialImpl} that it was pushed into, silently computes with the weight as it is.
 *
 * <p>Make it outside of a {@link TensorScope}, which would close it. The forward pass may run in
 * several threads at once as long as nobody changes the parameters.
 */
public final class QuantizedLinear extends LinearImpl {

  /** The name that {@code torch.ao.nn.qat} has for the quantizer of a weight. */
  public static final String CHILD = "weight_fake_quant";

  private final FakeQuantize quantizer;

  /**
   * A layer on the CPU whose quantizer is its child {@code weight_fake_quant}, and starts from the
   * weight, by {@link Calibration#MSE}. After another start of the weight, call {@link
   * Network#calibrateWeights}.
   *
   * @param weights such as {@link FakeQuantizeOptions#weights}, of one scale or one for each output
   * @throws ActclipException bad input, when the scales are of another number
   */
  public QuantizedLinear(LinearOptions options, FakeQuantizeOptions weights) {
    this(options, new FakeQuantize(weights));
    register_module(CHILD, quantizer);
    quantizer.calibrateWeight();
  }

  /**
   * A layer on the CPU with a quantizer of yours, which you register by a name of yours, and
   * calibrate.
   *
   * @param quantizer is kept, also beyond the end of a scope that is open now, for as long as the
   *     layer is there
   */
  public QuantizedLinear(LinearOptions options, FakeQuantize quantizer) {
    super(options);
    Arguments.requireOpen("the quantizer", quantizer);
    quantizer.retainReference(); // a scope that is open now may end before this does
    this.quantizer = quantizer;
    quantizer.quantizes(this::weight);
  }

  /** What the weight is multiplied as; its threshold is learned. */
  public FakeQuantize quantizer() {
    return quantizer;
  }

  /**
   * Multiplies by the quantized weight.
   *
   * @param x (…, inputs), of the dtype and on the device of the weight
   * @return (…, outputs); the caller's scope owns it
   * @throws ActclipException bad input, when this or x was closed
   */
  @Override
  public Tensor forward(Tensor x) {
    Arguments.requireOpen("the linear layer", this);
    Arguments.requireTensor("the activations", x);
    return torch.linear(x, quantizer.limit(weight()), bias());
  }
}
