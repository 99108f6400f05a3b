package io.github.actclip.autograd;

import io.github.actclip.op.ClipStatistics;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import org.bytedeco.pytorch.Tensor;

/** How the clips ask a rule, which may be a user's, for a gradient. */
final class ThresholdGradients {

  private ThresholdGradients() {}

  /** The gradient of a threshold, of its dtype. */
  static Tensor of(ThresholdGradient rule, ClipStatistics statistics, Tensor threshold) {
    Tensor gradient = rule.gradient(statistics);
    if (!Arguments.isTensor(gradient)) {
      throw ActclipException.badInput(
          "the rule returned no gradient: it must return one of the threshold's shape");
    }
    return gradient.to(threshold.scalar_type());
  }
}
