package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The clip on both sides, of (x, lo, hi), with a chosen gradient for lo and hi. */
final class TwoSidedClipFunction extends CustomFunction {

  private static final int X = 0;
  private static final int LO = 1;
  private static final int HI = 2;

  private final ThresholdGradient rule;

  TwoSidedClipFunction(ThresholdGradient rule) {
    this.rule = rule;
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveForBackward(inputs);
    return ClipOp.clip(inputs[X], inputs[LO], inputs[HI]);
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor x = context.saved(X);
    Tensor lo = ClipOp.fit(x, context.saved(LO));
    Tensor hi = ClipOp.fit(x, context.saved(HI));
    Tensor below = x.lt(lo);
    Tensor above = torch.where(below, lo, x).gt(hi); // hi wins where lo > hi
    Tensor[] gradients = new Tensor[3];
    if (context.needsInputGrad(X)) {
      gradients[X] = torch.where(below.logical_or(above), new Scalar(0), gradOutput);
    }
    gradients[LO] = gradient(context, LO, gradOutput, below.logical_and(above.logical_not()));
    gradients[HI] = gradient(context, HI, gradOutput, above);
    return gradients;
  }

  private Tensor gradient(FunctionContext context, int index, Tensor gradOutput, Tensor clipped) {
    if (!context.needsInputGrad(index)) {
      return null;
    }
    Tensor threshold = context.saved(index);
    Tensor none = torch.zeros_like(threshold);
    return ThresholdGradients.of(rule, context.saved(X), gradOutput, clipped, threshold, none);
  }
}
