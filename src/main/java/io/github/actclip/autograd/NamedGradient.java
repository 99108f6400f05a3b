package io.github.actclip.autograd;

import io.github.actclip.op.ClipStatistics;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * The rules of {@link ThresholdGradient} that have a name, by which files and people choose them.
 */
enum NamedGradient implements ThresholdGradient {
  SUM(ClipStatistics::clippedSum),
  MEAN(s -> mean(s.clippedSum(), s.clippedCount())),
  SUM_OF_MEANS(
      s -> mean(s.clippedSum(), s.clippedCount()).add(mean(s.positiveSum(), s.positiveCount()))),
  LSQ(s -> balanced(s, 1)),
  FROZEN(s -> s.clippedSum().zero_());

  private final ThresholdGradient formula;

  NamedGradient(ThresholdGradient formula) {
    this.formula = formula;
  }

  @Override
  public Tensor gradient(ClipStatistics statistics) {
    return formula.gradient(statistics);
  }

  /** {@link ThresholdGradient#lsq}. */
  static Tensor balanced(ClipStatistics s, int levels) {
    return s.clippedSum().div(new Scalar(Math.sqrt((double) s.count() * levels)));
  }

  private static Tensor mean(Tensor sum, Tensor count) {
    return sum.div(count.clamp_min(new Scalar(1)));
  }
}
