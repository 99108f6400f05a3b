package io.github.actclip.autograd;

import io.github.actclip.runtime.Internal;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * max(x, bound), with a gradient that lets x come back: below the bound it passes where descending
 * it makes x larger, else it is 0. A plain maximum has no gradient there, and what once fell below
 * the bound would stay for ever. (As the lower bound of learned scales in compression networks,
 * arXiv 1611.01704, does.)
 */
@Internal
public final class LowerBound extends CustomFunction {

  private final double bound;

  /** A bound for every element. */
  public LowerBound(double bound) {
    this.bound = bound;
  }

  /**
   * {@link #apply}, but x itself where nothing in it is below the bound, which is the same and
   * takes less time. On a GPU the question would wait for all that is computed.
   */
  public Tensor bound(Tensor x) {
    boolean isAbove = x.is_cpu() && x.numel() > 0 && x.detach().min().item_double() >= bound;
    return isAbove ? x : apply(x);
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveForBackward(inputs);
    return inputs[0].clamp_min(new Scalar(bound));
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor held = context.saved(0).lt(new Scalar(bound)).logical_and(gradOutput.gt(new Scalar(0)));
    return new Tensor[] {torch.where(held, new Scalar(0), gradOutput)};
  }
}
