package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.Objects;
import java.util.function.BinaryOperator;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A number by which a network is judged: its mean over the samples of a data set.
 *
 * @param name what it is called in metrics and reports, in snake case, such as {@code accuracy};
 *     what ends in that is shown in per cent
 * @param sum adds up the metric over the samples of a batch, of the network's output (float32) and
 *     the target: a scalar, which the scope owns that is open; without gradients
 */
public record Metric(String name, BinaryOperator<Tensor> sum) {

  private static final String NAME = "[a-z][a-z0-9_]*";
  private static final String LOSS = "loss";
  private static final long CLASSES = 1;

  /**
   * Checks the name.
   *
   * @throws ActclipException bad input, when it is not in snake case, or that of the loss
   */
  public Metric {
    if (!name.matches(NAME) || name.equals(LOSS)) {
      throw ActclipException.badInput(
          "the name of a metric (%s) must be small letters, digits and underscores, and not %s",
          name, LOSS);
    }
    Objects.requireNonNull(sum, "sum");
  }

  /**
   * The share of the samples that are named right: of logits (B, classes, …) the largest is that of
   * the class (B, …); where the target is floating point, of the output's shape, the logit is above
   * 0 where the target is above ½.
   */
  public static Metric accuracy() {
    return new Metric("accuracy", Metric::right);
  }

  /**
   * The share of the samples whose class (B, …) is among the k that have the largest logits (B,
   * classes, …); called {@code top5_accuracy} for 5.
   *
   * @throws ActclipException bad input, when k is not at least 1; later, when there are fewer
   *     classes
   */
  public static Metric topK(int k) {
    if (k < 1) {
      throw ActclipException.badInput("k (%d) must be at least 1", k);
    }
    return new Metric("top" + k + "_accuracy", (output, target) -> among(k, output, target));
  }

  /** The mean of |output − target|, of one shape; called {@code mae}. */
  public static Metric meanAbsoluteError() {
    return new Metric("mae", Metric::absoluteError);
  }

  /**
   * Checks that metrics can be told apart.
   *
   * @return these
   */
  static List<Metric> requireDistinct(List<Metric> metrics) {
    for (int i = 0; i < metrics.size(); i++) {
      String name = metrics.get(i).name();
      if (metrics.subList(0, i).stream().anyMatch(other -> other.name().equals(name))) {
        throw ActclipException.badInput("two metrics have the name %s: give one another", name);
      }
    }
    return metrics;
  }

  private static Tensor right(Tensor output, Tensor target) {
    if (target.is_floating_point()) {
      StandardLoss.requireSameShape(output, target);
      return perSample(output.gt(new Scalar(0)).eq(target.gt(new Scalar(0.5))));
    }
    StandardLoss.requireClasses(output, target);
    return perSample(output.argmax(new LongOptional(CLASSES), false).eq(target));
  }

  private static Tensor among(int k, Tensor output, Tensor target) {
    StandardLoss.requireClasses(output, target);
    if (k > output.size(CLASSES)) {
      throw ActclipException.badInput(
          "k (%d) must be at most the number of classes, which is %d", k, output.size(CLASSES));
    }
    Tensor own = output.gather(CLASSES, target.unsqueeze(CLASSES));
    Tensor among = output.gt(own).sum(CLASSES).lt(new Scalar((long) k));
    return perSample(among.logical_and(own.squeeze(CLASSES).eq(own.squeeze(CLASSES)))); // no NaN
  }

  private static Tensor absoluteError(Tensor output, Tensor target) {
    StandardLoss.requireSameShape(output, target);
    return perSample(output.sub(target).abs());
  }

  /** The sum over the samples of the mean of each one's values (B, …). */
  private static Tensor perSample(Tensor values) {
    return values.dim() == 1
        ? values.sum()
        : values.to(ScalarType.Double).flatten(1, -1).mean(1).sum();
  }
}
