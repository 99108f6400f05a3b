package io.github.actclip.report;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.report.Plot.XAxis;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.StepMetrics;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** What was recorded of a training, over its time, which is measured in epochs. */
final class Timeline {

  static final int MOST_POINTS = 500;

  private final List<EpochMetrics> epochs;
  private final List<StepMetrics> steps;
  private final double stepsPerEpoch;

  /**
   * Of one training.
   *
   * @param epochs at least one
   * @param steps in order, as many as were recorded
   */
  Timeline(double stepsPerEpoch, List<EpochMetrics> epochs, List<StepMetrics> steps) {
    this.stepsPerEpoch = stepsPerEpoch;
    this.epochs = epochs;
    this.steps = steps;
  }

  List<EpochMetrics> epochs() {
    return epochs;
  }

  List<StepMetrics> steps() {
    return steps;
  }

  EpochMetrics last() {
    return epochs.get(epochs.size() - 1);
  }

  /** The names of the layers' first thresholds. */
  List<String> thresholds() {
    return List.copyOf(last().thresholds().keySet());
  }

  /** An empty plot from the start of the training to its end. */
  Plot plot(String title, String unit, PlotSize size) {
    return new Plot(title, unit, size, new XAxis("epoch", 0, last().step() / stepsPerEpoch));
  }

  /** A layer that the network did not come to in an epoch has no value then. */
  Curve ofLayer(String name, ToDoubleFunction<ActivationStatistics> value) {
    return ofEpochs(
        e ->
            e.thresholds().containsKey(name)
                ? value.applyAsDouble(e.thresholds().get(name))
                : Double.NaN);
  }

  Curve ofEpochs(ToDoubleFunction<EpochMetrics> value) {
    return Curve.of(
        epochs.size(),
        MOST_POINTS,
        i -> epochs.get(i).step() / stepsPerEpoch,
        i -> value.applyAsDouble(epochs.get(i)));
  }

  Curve ofSteps(int most, ToDoubleFunction<StepMetrics> value) {
    return Curve.of(
        steps.size(),
        most,
        i -> steps.get(i).step() / stepsPerEpoch,
        i -> value.applyAsDouble(steps.get(i)));
  }
}
