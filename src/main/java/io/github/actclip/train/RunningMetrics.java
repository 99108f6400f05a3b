package io.github.actclip.train;

import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Sums up loss and hits on the device, so that a step never waits for a number: only {@link #read}
 * and {@link #sums} do. Its tensors belong to the scope that it is made in.
 */
@Internal
public final class RunningMetrics {

  private static final long CLASS_DIM = 1;

  private final Tensor lossSum;
  private final Tensor correct;
  private long images;

  RunningMetrics(Device device) {
    lossSum = zero(device, ScalarType.Double);
    correct = zero(device, ScalarType.Long);
  }

  private static Tensor zero(Device device, ScalarType type) {
    return torch.zeros(new long[] {1}, new TensorOptions(type).device(new DeviceOptional(device)));
  }

  /**
   * What was added so far.
   *
   * @param loss the sum over the images, in nats
   */
  public record Sums(double loss, long correct, long images) {

    /** Of nothing. */
    public static final Sums ZERO = new Sums(0, 0, 0);
  }

  /**
   * Adds a batch.
   *
   * @param loss the batch's mean loss, a scalar
   * @param logits (B, classes)
   * @param labels (B) int64
   */
  void add(Tensor loss, Tensor logits, Tensor labels) {
    long batch = labels.size(0);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      lossSum.add_(loss, new Scalar((double) batch));
      correct.add_(logits.argmax(new LongOptional(CLASS_DIM), false).eq(labels).sum());
    }
    images += batch;
  }

  /** Goes on from sums, or starts anew from {@link Sums#ZERO}. */
  void reset(Sums from) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      lossSum.fill_(new Scalar(from.loss()));
      correct.fill_(new Scalar(from.correct()));
    }
    images = from.images();
  }

  /** The sums so far, waiting for the device. */
  Sums sums() {
    return new Sums(lossSum.item_double(), correct.item_long(), images);
  }

  /** The means so far, waiting for the device; there must have been a batch. */
  Evaluation read() {
    Sums sums = sums();
    return new Evaluation(sums.loss() / images, sums.correct(), images);
  }
}
