package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.Pooled;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;

/**
 * A convolution, max pooling of 2×2, ReLU and the clip, of (x, weight, bias, t) or, without a
 * limit, (x, weight, bias). Of what is convolved it keeps half a byte for each pooled one.
 */
final class ConvMaxPoolClipFunction extends CustomFunction {

  private static final int X = 0;
  private static final int WEIGHT = 1;
  private static final int BIAS = 2;
  private static final int T = 3;

  // What is saved: x and the weight at their places among the inputs, and
  private static final int CODES = 2;

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    Tensor t = inputs.length > T ? inputs[T] : null;
    boolean recorded = context.needsAnyGrad();
    Pooled pooled = ClipOp.convMaxPoolClip(inputs[X], inputs[WEIGHT], inputs[BIAS], t, recorded);
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
        ClipOp.convMaxPoolClipBackward(
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
