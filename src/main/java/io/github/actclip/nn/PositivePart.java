package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.DoubleBuffer;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The values above 0 of a tensor, or the magnitudes above 0, in float64 on the CPU. There are never
 * more than a piece of them at a time, besides what a result needs. Valid in the scope it was made
 * in.
 */
final class PositivePart {

  /** Of 8 MB in float64: glibc returns blocks above 32 MB to the kernel each time. */
  private static final long PIECE = 1 << 20;

  private final Tensor flat;
  private final boolean signed;
  private final double max;

  private PositivePart(Tensor flat, boolean signed, double max) {
    this.flat = flat;
    this.signed = signed;
    this.max = max;
  }

  /** Refuses a tensor that has a NaN or an infinity, or nothing above 0. */
  static PositivePart of(Tensor values, boolean signed) {
    T_TensorTensor_T ends = values.aminmax();
    double least = ends.get0().item_double();
    double largest = ends.get1().item_double();
    if (!Double.isFinite(least) || !Double.isFinite(largest)) {
      long finite = values.isfinite().sum().item_long();
      throw ActclipException.badInput(
          "%d of the %d values are NaN or infinite: calibration needs finite ones",
          values.numel() - finite, values.numel());
    }
    double max = signed ? Math.max(-least, largest) : largest;
    if (!(max > 0)) {
      throw ActclipException.badInput(
          "the largest %s is %s: calibration needs one above 0",
          signed ? "magnitude" : "value", max);
    }
    return new PositivePart(values.detach().flatten(), signed, max);
  }

  double max() {
    return max;
  }

  /** How many values the tensor has, those that are not above 0 included. */
  long count() {
    return flat.numel();
  }

  /**
   * The threshold that is this fraction of the largest value; the least number if it underflows.
   */
  double scaled(double fraction) {
    return Math.max(fraction * max, Double.MIN_VALUE);
  }

  /** Counts the values in bins of equal width from 0 to the largest. */
  double[] histogram(int bins) {
    Tensor counts = torch.zeros(new long[] {bins}).to(ScalarType.Double);
    // Divided by the largest, no range underflows, and twice the values are in the same bins.
    Scalar unit = new Scalar(max);
    Scalar zero = new Scalar(0.0);
    Scalar one = new Scalar(1.0);
    forEachPiece(piece -> counts.add_(piece.div(unit).histc(bins, zero, one)));
    double[] result = new double[bins];
    DoubleBuffer buffer = counts.createBuffer();
    buffer.get(result);
    return result;
  }

  /** The quantile, as {@link Calibration#PERCENTILE} defines it, for a fraction close to 1. */
  double quantile(double fraction) {
    // Sized for the case that all values are above 0; -1 is below whatever comes.
    Tensor largest = torch.full(new long[] {above(fraction, flat.numel()) + 1}, new Scalar(-1.0));
    Tensor descending = largest.to(ScalarType.Double);
    long[] count = {0};
    forEachPiece(
        piece -> {
          count[0] += piece.numel();
          Tensor all = torch.cat(new TensorVector(descending, piece));
          descending.copy_(all.topk(descending.numel()).get0());
        });
    long fromTop = above(fraction, count[0]);
    double low = descending.select(0, fromTop).item_double();
    double high = descending.select(0, Math.max(0, fromTop - 1)).item_double();
    double position = fraction * (count[0] - 1);
    return low + (position - Math.floor(position)) * (high - low);
  }

  /** How many of so many values come after the one at or right below that quantile. */
  private static long above(double fraction, long count) {
    return count - 1 - (long) Math.floor(fraction * (count - 1));
  }

  private void forEachPiece(Consumer<Tensor> consumer) {
    for (long from = 0; from < flat.numel(); from += PIECE) {
      Tensor piece = flat.narrow(0, from, Math.min(PIECE, flat.numel() - from));
      TensorScope.run(() -> consumer.accept(positive(piece)));
    }
  }

  private Tensor positive(Tensor piece) {
    Tensor values = piece.cpu().to(ScalarType.Double);
    Tensor magnitudes = signed ? values.abs() : values;
    return magnitudes.masked_select(magnitudes.gt(new Scalar(0.0)));
  }
}
