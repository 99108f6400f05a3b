package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The clip from above, of (x, t), with a chosen gradient for t. */
final class ClipFunction extends CustomFunction {

  private static final int X = 0;
  private static final int T = 1;

  private final ThresholdGradient rule;

  ClipFunction(ThresholdGradient rule) {
    this.rule = rule;
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveForBackward(inputs);
    return ClipOp.clip(inputs[X], inputs[T]);
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor x = context.saved(X);
    Tensor t = context.saved(T);
    Tensor clipped = x.gt(ClipOp.fit(x, t));
    Tensor[] gradients = new Tensor[2];
    if (context.needsInputGrad(X)) {
      gradients[X] = torch.where(clipped, new Scalar(0), gradOutput);
    }
    if (context.needsInputGrad(T)) {
      Tensor none = torch.zeros_like(t);
      gradients[T] = ThresholdGradients.of(rule, x, gradOutput, clipped, t, none);
    }
    return gradients;
  }
}
