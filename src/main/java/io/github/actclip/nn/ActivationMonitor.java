package io.github.actclip.nn;

import io.github.actclip.runtime.TensorScope;
import java.math.BigInteger;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Looks at a few activations of the first forward pass of a layer and then of one of 16: often
 * enough to plot, too seldom to cost. Layers look by turns, so that of many few look in the same
 * step.
 */
final class ActivationMonitor {

  private static final int EVERY = 16;

  /** How many activations a look takes at most. */
  private static final long SAMPLE = 4096;

  private static final int BINS = 20;
  private static final double LAST_EDGE = 2;

  /** LibTorch's histc counts in float32, which stays at 2^24 when 1 is added. */
  private static final long MOST_COUNTED = 1L << 24;

  private static final AtomicInteger MADE = new AtomicInteger();

  private final int turn = Math.floorMod(MADE.getAndIncrement(), EVERY);
  private final AtomicLong calls = new AtomicLong();
  private volatile boolean enabled = true;
  private Sample last;

  /**
   * Some activations as a layer saw them. Counting them waits until somebody asks.
   *
   * @param tops their thresholds, one for each or one for all
   * @param top all thresholds
   * @param limited whether the activations came out of the clip
   */
  private record Sample(Tensor x, Tensor tops, Tensor top, boolean limited) {

    ActivationStatistics read() {
      return ActivationMonitor.read(x, tops, limited ? x.ge(tops) : x.gt(tops), top);
    }

    void close() {
      x.close();
      tops.close();
      top.close();
    }
  }

  void setEnabled(boolean value) {
    enabled = value;
  }

  boolean isDue() {
    if (!enabled) {
      return false;
    }
    long call = calls.getAndIncrement();
    return call == 0 || (call >= EVERY && call % EVERY == turn);
  }

  /**
   * The last pass that was recorded, with the gradient as it is now: during the forward pass the
   * usual loop has just cleared it.
   */
  synchronized Optional<ActivationStatistics> last(Tensor parameter) {
    if (last == null) {
      return Optional.empty();
    }
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return Optional.of(last.read().withGradient(gradient(parameter)));
    }
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
   * @param limited whether x came out of the clip: what is as large as the threshold was clipped
   */
  synchronized void observe(Tensor x, Tensor top, boolean limited) {
    Sample before = last;
    try (TensorScope scope = new TensorScope()) {
      boolean few = x.numel() <= SAMPLE;
      Tensor places = few ? null : places(x);
      Tensor some = few ? x.clone() : x.take(places);
      Tensor tops = few || top.numel() == 1 ? top.clone() : top.expand_as(x).take(places);
      last = new Sample(scope.keep(some), scope.keep(tops), scope.keep(top.clone()), limited);
    }
    if (before != null) {
      before.close();
    }
  }

  /** What a look at all of x would record, with the gradient as it is now; records nothing. */
  static ActivationStatistics look(Tensor x, Tensor top, Tensor parameter) {
    return read(x, top, x.gt(top), top).withGradient(gradient(parameter));
  }

  /** Evenly spread, at a distance that shares no factor with any dimension. */
  private static Tensor places(Tensor x) {
    long elements = x.numel();
    long step = (elements + SAMPLE - 1) / SAMPLE;
    while (BigInteger.valueOf(step).gcd(BigInteger.valueOf(elements)).longValue() > 1) {
      step++;
    }
    return torch
        .arange(new Scalar(0L), new Scalar(elements), new Scalar(step))
        .to(x.device(), ScalarType.Long);
  }

  private static ActivationStatistics read(Tensor x, Tensor tops, Tensor clipped, Tensor top) {
    return new ActivationStatistics(
        top.mean().item_double(),
        0,
        x.numel() == 0 ? 0 : clipped.sum().item_double() / x.numel(),
        histogram(x.to(ScalarType.Float).div(tops.to(ScalarType.Float))));
  }

  private static List<Long> histogram(Tensor relative) {
    Tensor flat = relative.flatten();
    Tensor counts = torch.zeros(new long[] {BINS}, flat.options()).to(ScalarType.Long);
    for (long from = 0; from < flat.numel(); from += MOST_COUNTED) {
      long count = Math.min(MOST_COUNTED, flat.numel() - from);
      counts.add_(histogramOf(flat.narrow(0, from, count)));
    }
    LongBuffer buffer = counts.cpu().createBuffer();
    List<Long> result = new ArrayList<>(BINS);
    for (int i = 0; i < BINS; i++) {
      result.add(buffer.get(i));
    }
    return result;
  }

  private static Tensor histogramOf(Tensor piece) {
    return torch.histc(piece, BINS, new Scalar(0), new Scalar(LAST_EDGE)).to(ScalarType.Long);
  }
}
