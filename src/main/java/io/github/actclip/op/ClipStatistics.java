package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What a rule may know about one backward pass through a clip: sums and counts over the elements
 * that share a threshold. g is the gradient of the loss by the clip's output.
 *
 * <p>All tensors have the threshold's shape, whatever its dtype: sums and counts are float64 for
 * float64 activations, else float32, so that neither overflows in float16. They belong to the
 * current scope. Use it within the call that it is given to.
 */
public final class ClipStatistics {

  private final Tensor x;
  private final Tensor grad;
  private final Sums sums;
  private final Tensor threshold;
  private final Tensor jump;

  /**
   * Statistics of one threshold.
   *
   * @param x the activations
   * @param grad g, of the shape and dtype of x
   * @param clipped which elements the threshold replaced, bool of the shape of x
   * @param threshold whose shape the results have
   * @param jump by how much the output falls where x passes the threshold upwards, of a shape that
   *     broadcasts to x's
   * @throws ActclipException when one of them is none, or not of such a shape, dtype and device
   */
  public ClipStatistics(Tensor x, Tensor grad, Tensor clipped, Tensor threshold, Tensor jump) {
    this(x, grad, sums(x, grad, clipped, threshold), threshold, jump);
    ClipArguments.requireFloating("the jump", jump);
  }

  private static Sums sums(Tensor x, Tensor grad, Tensor clipped, Tensor threshold) {
    ClipArguments.require(x, threshold);
    ClipArguments.gradient(grad, x);
    String what = "the clipped elements";
    Arguments.requireStrided(what, clipped, "a clip");
    Arguments.requireSameDevice("the activations are", x, what + " are", clipped);
    if (clipped.scalar_type().intern() != ScalarType.Bool
        || !Arrays.equals(clipped.shape(), x.shape())) {
      throw ActclipException.badInput(
          "%s are %s of the shape %s: they must be Bool of the activations', %s",
          what,
          clipped.scalar_type().intern(),
          Arrays.toString(clipped.shape()),
          Arrays.toString(x.shape()));
    }
    return ComposedBackend.sums(grad, x, clipped);
  }

  ClipStatistics(Tensor x, Tensor grad, Sums sums, Tensor threshold, Tensor jump) {
    this.x = x;
    this.grad = grad;
    this.sums = sums;
    this.threshold = threshold;
    this.jump = jump;
  }

  /** Σ g over the clipped elements. */
  public Tensor clippedSum() {
    return sums.get(Sums.Of.CLIPPED_GRADIENTS, threshold);
  }

  /** How many elements are clipped. */
  public Tensor clippedCount() {
    return sums.get(Sums.Of.CLIPPED, threshold);
  }

  /** Σ g over the elements with x > 0 that are not clipped. */
  public Tensor positiveSum() {
    return sums.get(Sums.Of.POSITIVE_GRADIENTS, threshold);
  }

  /** How many elements with x > 0 are not clipped. */
  public Tensor positiveCount() {
    return sums.get(Sums.Of.POSITIVE, threshold);
  }

  /** How many elements share a threshold, clipped or not; at least 1. */
  public long count() {
    return Math.max(1, x.numel() / Math.max(1, threshold.numel()));
  }

  /**
   * Σ g·jump·K((x − t)/ε)/ε, with the rectangle kernel K(u) = 1 for {@code |u| < ½}: zero where the
   * output does not jump when x passes t. t is as x is compared with it, rounded to the dtype of x;
   * the difference is of float32 at least.
   *
   * @param bandwidth ε, above 0
   */
  public Tensor kernelSum(double bandwidth) {
    Tensor compared = ClipArguments.atLeastFloat32(ClipArguments.fit(x, threshold));
    Tensor distance = ClipArguments.atLeastFloat32(x).sub(compared).abs();
    Tensor near = distance.lt(new Scalar(bandwidth / 2));
    Tensor wide = ClipArguments.atLeastFloat32(grad);
    Tensor weighted = wide.mul(jump.to(wide.scalar_type())).div(new Scalar(bandwidth));
    return sum(torch.where(near, weighted, new Scalar(0)), threshold);
  }

  /**
   * Sums over the elements that share a threshold, in float32 at least.
   *
   * @param values of the activations' shape
   * @param threshold of a shape that broadcasts to it
   * @return the sums, of the threshold's shape and dtype
   */
  public static Tensor sumLike(Tensor values, Tensor threshold) {
    ClipArguments.require(values, threshold);
    return sum(values, threshold).to(threshold.scalar_type());
  }

  /** The same, float64 for float64 values, else float32. */
  static Tensor sum(Tensor values, Tensor threshold) {
    Tensor wide = ClipArguments.atLeastFloat32(values);
    long[] shape = threshold.shape();
    // One threshold may have more dimensions than the activations, to which it then cannot sum.
    return threshold.numel() == 1 ? wide.sum().view(shape) : wide.sum_to_size(shape);
  }
}
