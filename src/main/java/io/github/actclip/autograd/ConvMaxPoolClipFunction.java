package io.github.actclip.autograd;

import io.github.actclip.op.PoolOp;
import io.github.actclip.op.Pooled;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Internal;
import java.util.Arrays;
import java.util.Optional;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * A convolution, max pooling of 2×2 with stride 2, ReLU and the clip, of (x, weight, bias, t) or,
 * without a limit, (x, weight, bias); t gets its exact gradient. Of what is convolved it keeps half
 * a byte for each pooled one. Thread-safe.
 */
@Internal
public final class ConvMaxPoolClipFunction extends CustomFunction {

  private static final int X = 0;
  private static final int WEIGHT = 1;
  private static final int BIAS = 2;
  private static final int T = 3;

  // What is saved: x and the weight at their places among the inputs, and
  private static final int CODES = 2;

  /** For what the kernels take, forward and backward. */
  private ConvMaxPoolClipFunction() {}

  /**
   * {@code clip(relu(max_pool2d(conv.forward(x), 2)), t)}: in one pass forward and one backward
   * where the convolution is of stride 1 without padding, and {@link PoolOp#isConvolutionNative},
   * else by single operations. In one pass it has no second derivative.
   *
   * @param conv of any kind, and open; N are its channels
   * @param x (B, C, H, W), as the convolution takes it
   * @param t of one element, or (N, 1, 1)
   * @return (B, N, H', W'); the caller's scope owns it
   * @throws ActclipException bad input, when t is no tensor, or of another shape
   */
  public static Tensor convMaxPoolClip(Conv2dImpl conv, Tensor x, Tensor t) {
    Arguments.requireTensor("the threshold", t);
    return inOnePass(conv, x, t).orElseGet(() -> ClipFunctions.maxPoolClip(conv.forward(x), t));
  }

  /** The same without a limit: {@code relu(max_pool2d(conv.forward(x), 2))}. */
  public static Tensor convMaxPoolRelu(Conv2dImpl conv, Tensor x) {
    return inOnePass(conv, x, null).orElseGet(() -> ClipFunctions.maxPoolRelu(conv.forward(x)));
  }

  private static Optional<Tensor> inOnePass(Conv2dImpl conv, Tensor x, Tensor t) {
    boolean suits = PlainConvolution.of(conv).filter(PlainConvolution::isDense).isPresent();
    if (!suits) {
      return Optional.empty();
    }
    Tensor weight = conv.weight();
    Tensor bias = conv.bias();
    if (!PoolOp.isConvolutionNative(x, weight, bias, t)) {
      return Optional.empty();
    }
    if (!GradMode.is_enabled()) {
      return Optional.of(PoolOp.convMaxPoolClip(x, weight, bias, t, false).output());
    }
    Tensor[] inputs =
        t == null ? new Tensor[] {x, weight, bias} : new Tensor[] {x, weight, bias, t};
    return Optional.of(new ConvMaxPoolClipFunction().apply(inputs));
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    Tensor t = inputs.length > T ? inputs[T] : null;
    boolean recorded = context.needsAnyGrad();
    Pooled pooled = PoolOp.convMaxPoolClip(inputs[X], inputs[WEIGHT], inputs[BIAS], t, recorded);
    if (recorded) {
      Tensor copy = t == null ? null : t.clone(); // An optimizer may step before backward.
      Tensor[] saved = {inputs[X], inputs[WEIGHT], pooled.codes(), copy};
      context.saveForBackward(Arrays.copyOf(saved, inputs.length));
    }
    return pooled.output();
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor t = context.inputs() > T ? context.saved(T) : null;
    Tensor[] gradients =
        PoolOp.convMaxPoolClipBackward(
            gradOutput,
            context.saved(CODES),
            context.saved(X),
            context.saved(WEIGHT),
            t,
            context.needsInputGrad(X),
            context.needsInputGrad(WEIGHT));
    return Arrays.copyOf(gradients, context.inputs());
  }
}
