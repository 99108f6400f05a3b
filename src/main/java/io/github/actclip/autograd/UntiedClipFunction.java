package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The untied clip, of (x, cut, value), with a chosen gradient for cut and value. */
final class UntiedClipFunction extends CustomFunction {

  private static final int X = 0;
  private static final int CUT = 1;
  private static final int VALUE = 2;

  private final ThresholdGradient cutRule;
  private final ThresholdGradient valueRule;

  UntiedClipFunction(ThresholdGradient cutRule, ThresholdGradient valueRule) {
    this.cutRule = cutRule;
    this.valueRule = valueRule;
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveForBackward(inputs);
    return ClipOp.untied(inputs[X], inputs[CUT], inputs[VALUE]);
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor x = context.saved(X);
    Tensor cut = context.saved(CUT);
    Tensor value = context.saved(VALUE);
    Tensor above = x.gt(ClipOp.fit(x, cut));
    Tensor jump = cut.sub(value);
    Tensor[] gradients = new Tensor[3];
    if (context.needsInputGrad(X)) {
      gradients[X] = torch.where(above, new Scalar(0), gradOutput);
    }
    if (context.needsInputGrad(CUT)) {
      gradients[CUT] = ThresholdGradients.of(cutRule, x, gradOutput, above, cut, jump);
    }
    if (context.needsInputGrad(VALUE)) {
      gradients[VALUE] = ThresholdGradients.of(valueRule, x, gradOutput, above, value, jump);
    }
    return gradients;
  }
}
