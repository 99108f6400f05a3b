package io.github.actclip.report;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.report.Plot.Ink;
import io.github.actclip.train.StepMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * The thresholds over time: of few every parameter, on a plot of its own; of many layers small
 * plots on the same axes, so that they can be compared.
 */
final class ThresholdPlots {

  /** How many layers have a small plot of each kind. */
  static final int MOST_SMALL = 24;

  /** How many parameters have a large plot each, and one of the gradient. */
  private static final int MOST_LARGE = 4;

  /** How many points all channels of a threshold have together. */
  private static final int MOST_CHANNEL_POINTS = 8000;

  private static final int FEWEST_CHANNEL_POINTS = 20;
  private static final double PERCENT = 100;

  private final Timeline timeline;
  private final List<String> layers;

  ThresholdPlots(Timeline timeline) {
    this.timeline = timeline;
    layers = timeline.thresholds();
  }

  /** Every parameter and its gradient, or none where those would be too many plots. */
  List<Plot> parameters() {
    if (timeline.steps().isEmpty()) {
      return layers.size() == 1 ? ofEpochs(layers.get(0)) : List.of();
    }
    List<String> names = List.copyOf(timeline.steps().get(0).thresholds().keySet());
    List<Plot> plots = new ArrayList<>();
    if (names.size() <= MOST_LARGE) {
      for (String name : names) {
        plots.add(
            ofChannels(name, "the parameter's value", Ink.BLUE, s -> s.thresholds().get(name)));
        plots.add(
            ofChannels(
                "Gradient of " + name, gradientUnit(), Ink.PURPLE, s -> s.gradients().get(name)));
      }
    }
    if (layers.size() == 1 && !isItself(layers.get(0))) {
      plots.add(ofEpochs(layers.get(0)).get(0));
    }
    return plots;
  }

  private List<Plot> ofEpochs(String layer) {
    return List.of(
        large("Threshold of the activations", "mean of the channels, by " + layer)
            .line("threshold", Ink.BLUE, timeline.ofLayer(layer, ActivationStatistics::threshold)),
        large("Gradient of the first threshold", "of each epoch's last step")
            .line("gradient", Ink.PURPLE, timeline.ofLayer(layer, ActivationStatistics::gradient)));
  }

  /** Whether a parameter is the threshold, and not its logarithm, say, or a quantizer's step. */
  private static boolean isItself(String parameter) {
    return parameter.endsWith("max") && !parameter.endsWith("raw_max");
  }

  private String gradientUnit() {
    int most = (timeline.steps().size() + Timeline.MOST_POINTS - 1) / Timeline.MOST_POINTS;
    return "of the loss, "
        + (most <= 1 ? "in the recorded steps" : "mean of every " + most + " recorded steps");
  }

  private Plot ofChannels(
      String title, String unit, Ink ink, Function<StepMetrics, List<Double>> values) {
    Plot plot = large(title, unit);
    int channels = values.apply(timeline.steps().get(0)).size();
    if (channels == 1) {
      Curve curve = timeline.ofSteps(Timeline.MOST_POINTS, s -> mean(values.apply(s)));
      return plot.line("one for all channels", ink, curve);
    }
    int fair = Math.min(Timeline.MOST_POINTS, MOST_CHANNEL_POINTS / channels);
    int points = Math.max(FEWEST_CHANNEL_POINTS, fair);
    for (int i = 0; i < channels; i++) {
      int channel = i;
      plot.thin(ink, timeline.ofSteps(points, s -> values.apply(s).get(channel)));
    }
    return plot.line(
        "mean of the " + channels + " channels, which are the thin lines",
        Ink.TEXT,
        timeline.ofSteps(points, s -> mean(values.apply(s))));
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
  }

  private Plot large(String title, String unit) {
    return timeline.plot(title, unit, PlotSize.WIDE);
  }

  /** Of one layer, how much it clips. */
  List<Plot> clipRate() {
    return layers.size() == 1
        ? List.of(
            large("Clip rate", "% of the activations, which lie above the threshold")
                .line("clip rate", Ink.ORANGE, clipRate(layers.get(0))))
        : List.of();
  }

  private Curve clipRate(String layer) {
    return timeline.ofLayer(layer, seen -> PERCENT * seen.clipRate());
  }

  /** Of many layers, above which value each of the first clips. */
  List<Plot> values() {
    return small(Ink.BLUE, layer -> timeline.ofLayer(layer, ActivationStatistics::threshold));
  }

  /** Of many layers, how much each of the first clips, in per cent. */
  List<Plot> clipRates() {
    return small(Ink.ORANGE, this::clipRate);
  }

  private List<Plot> small(Ink ink, Function<String, Curve> curves) {
    List<String> shown = layers.subList(0, Math.min(MOST_SMALL, layers.size()));
    List<Curve> all = shown.stream().map(curves).toList();
    double least = all.stream().mapToDouble(Curve::least).filter(Double::isFinite).min().orElse(0);
    double most = all.stream().mapToDouble(Curve::most).filter(Double::isFinite).max().orElse(1);
    double flat = most == 0 ? 1 : Math.abs(most) / 10; // around a line that nothing moves
    double space = most > least ? (most - least) / 10 : flat;
    List<Plot> plots = new ArrayList<>();
    for (int i = 0; i < shown.size(); i++) {
      plots.add(
          timeline
              .plot(shown.get(i), "", PlotSize.SMALL)
              .unnamed(ink, all.get(i))
              .between(least - space, most + space));
    }
    return plots;
  }
}
