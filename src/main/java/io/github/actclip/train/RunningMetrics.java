package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Sums up loss and metrics on the device, so that a step never waits for a number: only {@link
 * #read} and {@link #sums} do. Its tensors belong to the scope that it is made in.
 */
@Internal
public final class RunningMetrics {

  private final List<Metric> metrics;
  private final Tensor lossSum;
  private final List<Tensor> metricSums;
  private long samples;

  RunningMetrics(Device device, List<Metric> metrics) {
    this.metrics = Metric.requireDistinct(metrics);
    lossSum = zero(device);
    metricSums = metrics.stream().map(metric -> zero(device)).toList();
  }

  private static Tensor zero(Device device) {
    TensorOptions options = new TensorOptions(ScalarType.Double);
    return torch.zeros(new long[] {1}, options.device(new DeviceOptional(device)));
  }

  /**
   * What was added so far.
   *
   * @param loss the sum over the samples
   * @param metrics the sum of each over the samples, by its name
   */
  public record Sums(double loss, Map<String, Double> metrics, long samples) {

    /** Of nothing. */
    static final Sums ZERO = new Sums(0, Map.of(), 0);
  }

  /**
   * Adds a batch.
   *
   * @param loss the batch's mean loss, a scalar
   * @param output (B, …) of the network
   * @param target (B, …)
   */
  void add(Tensor loss, Tensor output, Tensor target) {
    long batch = target.size(0);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      requireNumber("the loss", loss);
      lossSum.add_(loss, new Scalar((double) batch));
      for (int i = 0; i < metrics.size(); i++) {
        metricSums.get(i).add_(sum(metrics.get(i), output, target));
      }
    }
    samples += batch;
  }

  private static Tensor sum(Metric metric, Tensor output, Tensor target) {
    String name = "the metric " + metric.name();
    Tensor sum =
        ActclipException.inOneSentence(
            () -> name + " fails on output of shape " + Arrays.toString(output.shape()),
            () -> metric.sum().apply(output, target));
    requireNumber(name, sum);
    return sum;
  }

  /**
   * Checks what a user's function gave.
   *
   * @throws ActclipException bad input, when there is no tensor, or one of several numbers
   */
  static void requireNumber(String what, Tensor tensor) {
    Arguments.requireTensor(what, tensor);
    if (tensor.dim() > 1 || tensor.numel() != 1 || tensor.is_complex()) {
      throw ActclipException.badInput(
          "%s has the shape %s and is %s: it must be one real number",
          what, Arrays.toString(tensor.shape()), tensor.scalar_type().intern());
    }
  }

  /** Goes on from sums, or starts anew from {@link Sums#ZERO}. */
  void reset(Sums from) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      lossSum.fill_(new Scalar(from.loss()));
      for (int i = 0; i < metrics.size(); i++) {
        double sum = from.metrics().getOrDefault(metrics.get(i).name(), 0.0);
        metricSums.get(i).fill_(new Scalar(sum));
      }
    }
    samples = from.samples();
  }

  /** The sums so far, waiting for the device. */
  Sums sums() {
    return new Sums(lossSum.item_double(), metrics(sum -> sum), samples);
  }

  /** The means so far, waiting for the device; there must have been a batch. */
  Evaluation read() {
    return new Evaluation(lossSum.item_double() / samples, metrics(sum -> sum / samples), samples);
  }

  private Map<String, Double> metrics(DoubleUnaryOperator of) {
    Map<String, Double> values = new LinkedHashMap<>();
    for (int i = 0; i < metrics.size(); i++) {
      double sum = metricSums.get(i).item_double();
      values.put(metrics.get(i).name(), of.applyAsDouble(sum));
    }
    return values;
  }
}
