package io.github.actclip.nn;

import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Looks at every 16th forward pass of a layer: often enough to plot, too seldom to cost. */
final class ActivationMonitor {

  private static final int EVERY = 16;
  private static final int BINS = 20;
  private static final double LAST_EDGE = 2;

  /** LibTorch's histc counts in float32, which stays at 2^24 when 1 is added. */
  private static final long MOST_COUNTED = 1L << 24;

  private final AtomicLong calls = new AtomicLong();
  private volatile ActivationStatistics last;

  boolean isDue() {
    return calls.getAndIncrement() % EVERY == 0;
  }

  /**
   * The last pass that was recorded, with the gradient as it is now: during the forward pass the
   * usual loop has just cleared it.
   */
  Optional<ActivationStatistics> last(Tensor parameter) {
    return Optional.ofNullable(last).map(s -> s.withGradient(gradient(parameter)));
  }

  private static double gradient(Tensor parameter) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor gradient = parameter.grad();
      return gradient.defined() ? gradient.sum().item_double() : 0;
    }
  }

  /**
   * Records one pass; gradients are not recorded meanwhile.
   *
   * @param top the threshold as the clip compares x with it
   */
  void observe(Tensor x, Tensor top) {
    last = read(x, top);
  }

  /** What {@link #observe} would record, with the gradient as it is now; records nothing. */
  static ActivationStatistics look(Tensor x, Tensor top, Tensor parameter) {
    return read(x, top).withGradient(gradient(parameter));
  }

  private static ActivationStatistics read(Tensor x, Tensor top) {
    Tensor relative = x.to(ScalarType.Float).div(top.to(ScalarType.Float));
    return new ActivationStatistics(
        top.mean().item_double(),
        0,
        x.numel() == 0 ? 0 : x.gt(top).sum().item_double() / x.numel(),
        histogram(relative));
  }

  private static List<Long> histogram(Tensor relative) {
    Tensor flat = relative.flatten();
    Tensor counts = torch.zeros(new long[] {BINS}, flat.options()).to(ScalarType.Long);
    for (long from = 0; from < flat.numel(); from += MOST_COUNTED) {
      long count = Math.min(MOST_COUNTED, flat.numel() - from);
      counts.add_(histogramOf(flat.narrow(0, from, count)));
    }
    List<Long> result = new ArrayList<>(BINS);
    for (int i = 0; i < BINS; i++) {
      result.add(counts.select(0, i).item_long());
    }
    return result;
  }

  private static Tensor histogramOf(Tensor piece) {
    return torch.histc(piece, BINS, new Scalar(0), new Scalar(LAST_EDGE)).to(ScalarType.Long);
  }
}
