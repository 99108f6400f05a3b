package io.github.actclip.autograd;

import io.github.actclip.op.ClipStatistics;
import io.github.actclip.runtime.ActclipException;
import org.bytedeco.pytorch.Tensor;

/** How the clips ask a rule, which may be a user's, for a gradient. */
final class ThresholdGradients {

  private ThresholdGradients() {}

  /**
   * The gradient of a threshold, of its dtype.
   *
   * @param jump as the other tensors, what {@link ClipStatistics} takes
   */
  static Tensor of(
      ThresholdGradient rule,
      Tensor x,
      Tensor gradOutput,
      Tensor clipped,
      Tensor threshold,
      Tensor jump) {
    Tensor gradient = rule.gradient(new ClipStatistics(x, gradOutput, clipped, threshold, jump));
    if (gradient == null || gradient.isNull() || !gradient.defined()) {
      throw ActclipException.badInput(
          "the rule returned no gradient: it must return one of the threshold's shape");
    }
    return gradient.to(threshold.scalar_type());
  }
}
