package io.github.actclip.autograd;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.ClipStatistics;
import io.github.actclip.runtime.ActclipException;
import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * How a threshold gets its gradient from the gradient g of the loss by the clip's output. Choose
 * one of these, or write a lambda:
 *
 * <pre>{@code
 * ThresholdGradient mine = s -> s.clippedSum().mul(new Scalar(0.5));
 * }</pre>
 *
 * <p>It is called in backward, once for each threshold, with gradients not recorded; what it makes
 * is freed after the call. Implementations must be thread-safe.
 */
@FunctionalInterface
public interface ThresholdGradient {

  /**
   * Σ g over the clipped elements: the exact derivative of a tied clip (PACT, arXiv 1805.06085,
   * section 3).
   */
  ThresholdGradient SUM = NamedGradient.SUM;

  /**
   * The mean of g over the clipped elements, 0 when there are none: the exact derivative divided by
   * their number. Its sign is right; its size does not depend on the batch. A heuristic.
   */
  ThresholdGradient MEAN = NamedGradient.MEAN;

  /**
   * The question's second rule: the mean of g over the clipped plus the mean of g over the positive
   * elements that are not clipped. A heuristic: the second mean has nothing to do with the
   * derivative, and the sign can be wrong.
   */
  ThresholdGradient SUM_OF_MEANS = NamedGradient.SUM_OF_MEANS;

  /** {@link #lsq} of one level: the exact one over √N. */
  ThresholdGradient LSQ = NamedGradient.LSQ;

  /** None: a clip of this library that is given this rule freezes its threshold. */
  ThresholdGradient FROZEN = NamedGradient.FROZEN;

  /**
   * The gradient of a threshold, to be descended.
   *
   * @param statistics of this backward pass
   * @return of the threshold's shape, of any dtype: it is rounded to the threshold's
   */
  Tensor gradient(ClipStatistics statistics);

  /**
   * The exact derivative scaled by 1/√(N·Q), which balances a step size against weights (LSQ, arXiv
   * 1902.08153, section 2.2). N counts the elements that share the threshold in this call, clipped
   * or not, the batch included ({@link ClipStatistics#count}). The sign is exact, the size is not.
   *
   * @param levels Q, the quantizer's largest code; 1 without one
   * @throws ActclipException when {@code levels} is below 1
   */
  static ThresholdGradient lsq(int levels) {
    if (levels < 1) {
      throw ActclipException.badInput("levels (%d) must be at least 1", levels);
    }
    return s -> NamedGradient.balanced(s, levels);
  }

  /**
   * For a threshold at which the output jumps: the estimate Σ g·jump/ε over {@code |x − t| < ε/2}
   * of the derivative of the expected loss, p(t)·E[L(below) − L(above) | x = t] (JumpReLU
   * autoencoders, arXiv 2407.14435). Biased by a term that falls with ε (not with ε², as g jumps at
   * t, too), and by the curvature of the loss over the jump beyond the second order; its variance
   * grows as 1/ε. Zero for what does not jump when x passes it: the threshold of a tied clip, and
   * the value of an untied one, which then do not learn.
   *
   * @param bandwidth ε, in the unit of the activations
   * @throws ActclipException when it is not above 0, or no normal float32 number
   */
  static ThresholdGradient kernelDensity(double bandwidth) {
    ClipOp.requireDivisor("the bandwidth", bandwidth);
    return s -> s.kernelSum(bandwidth);
  }

  /** The rules that have a name, which is their text: the constants above. */
  static List<ThresholdGradient> named() {
    return List.of(NamedGradient.values());
  }

  /**
   * The rule of a name, as files and command lines have it.
   *
   * @param name such as {@code SUM_OF_MEANS}
   * @throws ActclipException bad input, when there is none
   */
  static ThresholdGradient valueOf(String name) {
    return named().stream()
        .filter(rule -> rule.toString().equals(name))
        .findFirst()
        .orElseThrow(
            () -> ActclipException.badInput("the rule (%s) must be one of %s", name, named()));
  }
}
