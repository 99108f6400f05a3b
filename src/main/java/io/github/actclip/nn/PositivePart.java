package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.DoubleStream;
import org.bytedeco.pytorch.LongOptional;
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

  /**
   * That of each row of a matrix.
   *
   * @throws ActclipException bad input, when one has a NaN or an infinity
   */
  static List<PositivePart> ofRows(Tensor rows, boolean signed) {
    T_TensorTensor_T ends = rows.aminmax(new LongOptional(1), false);
    double[] least = doubles(ends.get0());
    double[] largest = doubles(ends.get1());
    List<PositivePart> parts = new ArrayList<>();
    for (int row = 0; row < least.length; row++) {
      Tensor values = rows.select(0, row);
      requireFinite(values, least[row], largest[row]);
      double max = signed ? Math.max(-least[row], largest[row]) : largest[row];
      parts.add(new PositivePart(values.detach(), signed, max));
    }
    return parts;
  }

  private static void requireFinite(Tensor values, double least, double largest) {
    if (!Double.isFinite(least) || !Double.isFinite(largest)) {
      long finite = values.isfinite().sum().item_long();
      throw ActclipException.badInput(
          "%d of the %d values are NaN or infinite: calibration needs finite ones",
          values.numel() - finite, values.numel());
    }
  }

  /** Whether there is nothing above 0. */
  boolean isEmpty() {
    return max <= 0;
  }

  void requireAny() {
    if (isEmpty()) {
      throw ActclipException.badInput(
          "the largest %s is %s: calibration needs one above 0",
          signed ? "magnitude" : "value", max);
    }
  }

  double max() {
    return max;
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
    return doubles(counts);
  }

  /** The bin of each value, ascending: faster than a histogram that is almost empty. */
  int[] bins(int bins) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return DoubleStream.of(doubles(flat))
          .map(value -> signed ? Math.abs(value) : value)
          .filter(value -> value > 0)
          .mapToInt(value -> Math.min((int) (value / max * bins), bins - 1))
          .sorted()
          .toArray();
    }
  }

  private static double[] doubles(Tensor tensor) {
    double[] values = new double[(int) tensor.numel()];
    DoubleBuffer buffer = tensor.cpu().to(ScalarType.Double).contiguous().createBuffer();
    buffer.get(values);
    return values;
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
