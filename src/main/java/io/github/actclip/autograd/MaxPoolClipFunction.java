package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.PoolOp;
import io.github.actclip.op.Pooled;
import org.bytedeco.pytorch.Tensor;

/**
 * Max pooling of 2×2, ReLU and the clip, of (x, t). It keeps half a byte for each output, where the
 * three functions would keep x and two more.
 */
final class MaxPoolClipFunction extends CustomFunction {

  private static final int X = 0;
  private static final int T = 1;

  // What is saved.
  private static final int CODES = 0;
  private static final int THRESHOLD = 1;

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    Pooled pooled = PoolOp.maxPoolClip(inputs[X], inputs[T], true);
    context.saveClip(ClipOp.withVersionOf(inputs[X], pooled.codes()), inputs[T]);
    return pooled.output();
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    return PoolOp.maxPoolClipBackward(
        gradOutput, context.saved(CODES), context.saved(THRESHOLD), context.inputShape(X));
  }
}
