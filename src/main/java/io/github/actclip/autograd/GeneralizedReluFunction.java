package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.ClipStatistics;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The generalised ReLU, of (x, b, t), with the exact gradient for b and a chosen one for t. */
final class GeneralizedReluFunction extends CustomFunction {

  private static final int X = 0;
  private static final int B = 1;
  private static final int T = 2;

  private final ThresholdGradient cutRule;

  GeneralizedReluFunction(ThresholdGradient cutRule) {
    this.cutRule = cutRule;
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveClip(inputs[X], inputs[B], inputs[T]);
    return ClipOp.generalizedRelu(inputs[X], inputs[B], inputs[T]);
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor x = context.saved(X);
    Tensor b = context.saved(B);
    Tensor t = context.saved(T);
    Tensor cut = ClipOp.fit(x, t);
    Tensor off = x.le(cut); // NaN is neither off nor on
    Tensor[] gradients = {torch.where(off, new Scalar(0), gradOutput), null, null};
    if (context.needsInputGrad(B)) {
      Tensor on = torch.where(x.gt(cut), gradOutput, new Scalar(0));
      gradients[B] = ClipStatistics.sumLike(on, b);
    }
    if (context.needsInputGrad(T)) {
      Tensor jump = t.add(b).neg(); // from 0 up to t + b
      ClipStatistics statistics = new ClipStatistics(x, gradOutput, off, t, jump);
      gradients[T] = ThresholdGradients.of(cutRule, statistics, t);
    }
    return gradients;
  }
}
