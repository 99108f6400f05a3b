package io.github.actclip.train;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.EvaluationMode;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.bytedeco.pytorch.Tensor;

/** What the thresholds of a network are at, by their names. Reading waits for their device. */
final class ThresholdReadings {

  private final Network network;
  private final Map<String, Threshold> all;

  /** What stands for a layer. */
  private final Map<String, Threshold> firstOfLayers;

  private Map<String, Double> gradientsBefore = Map.of();

  ThresholdReadings(Network network) {
    this.network = network;
    all = network.thresholds();
    Map<String, Threshold> firsts = new LinkedHashMap<>(all);
    firsts.values().removeIf(threshold -> threshold.layer().thresholds().get(0) != threshold);
    firstOfLayers = Collections.unmodifiableMap(firsts);
  }

  /** The numbers of every parameter. */
  Map<String, List<Double>> values() {
    return read(all, (name, threshold) -> list(threshold.parameter()));
  }

  /** The gradient of every parameter; zeros where there is none. */
  Map<String, List<Double>> gradients() {
    return read(
        all,
        (name, threshold) -> {
          Tensor gradient = threshold.parameter().grad();
          return gradient.defined()
              ? list(gradient)
              : Collections.nCopies(Math.toIntExact(threshold.parameter().numel()), 0.0);
        });
  }

  private static List<Double> list(Tensor tensor) {
    return Arrays.stream(TensorNumbers.of(tensor)).boxed().toList();
  }

  /** Above which value each layer clips, its mean over the channels. */
  Map<String, Double> limits() {
    return read(firstOfLayers, (name, threshold) -> threshold.layer().upper().mean().item_double());
  }

  /** The gradient of each layer's first threshold, summed over its channels. */
  Map<String, Double> gradientSums() {
    return read(
        firstOfLayers,
        (name, threshold) -> {
          Tensor gradient = threshold.parameter().grad();
          return gradient.defined()
              ? gradient.sum().item_double()
              : gradientsBefore.getOrDefault(name, 0.0);
        });
  }

  /** Takes sums for those of the last step, until there is another one. */
  void restoreGradientSums(Map<String, Double> sums) {
    gradientsBefore = sums;
  }

  /**
   * What the layers see of some data in evaluation mode, with the gradients of the last step, in
   * the order of the state dict; a layer that the data did not come to is left out.
   */
  Map<String, ActivationStatistics> observe(Tensor data) {
    Map<String, ActivationStatistics> seen =
        EvaluationMode.of(network, () -> network.observe(data));
    Map<String, ActivationStatistics> ofStep = new LinkedHashMap<>();
    gradientSums()
        .forEach(
            (name, sum) -> {
              if (seen.containsKey(name)) {
                ofStep.put(name, seen.get(name).withGradient(sum));
              }
            });
    return ofStep;
  }

  private static <T> Map<String, T> read(
      Map<String, Threshold> thresholds, BiFunction<String, Threshold, T> reading) {
    Map<String, T> values = new LinkedHashMap<>();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      thresholds.forEach((name, threshold) -> values.put(name, reading.apply(name, threshold)));
    }
    return values;
  }
}
