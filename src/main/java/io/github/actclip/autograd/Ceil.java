package io.github.actclip.autograd;

import io.github.actclip.runtime.Internal;
import org.bytedeco.pytorch.Tensor;

/**
 * Rounds up, with the straight-through estimator: the gradient passes as if nothing was rounded
 * (TQT, arXiv 1903.08066, section 3.3).
 */
@Internal
public final class Ceil extends CustomFunction {

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    return inputs[0].ceil();
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    return new Tensor[] {gradOutput};
  }
}
