package io.github.actclip.report;

import io.github.actclip.report.Plot.Ink;
import io.github.actclip.report.Plot.XAxis;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Phase;
import io.github.actclip.train.PhaseSeconds;
import io.github.actclip.train.StepMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** How a training learned, and what its time went into. */
final class ReportPlots {

  private static final Phase[] PHASES = Phase.values();
  private static final Ink[] PHASE_INKS = {Ink.GREEN, Ink.BLUE, Ink.ORANGE, Ink.PURPLE, Ink.GREY};

  private static final int MOST_BARS = 100;
  private static final double BAR_WIDTH = 0.8;

  private final Timeline timeline;

  ReportPlots(Timeline timeline) {
    this.timeline = timeline;
  }

  /**
   * What the training came to.
   *
   * @param lossUnit what the loss is
   */
  List<Plot> learning(String lossUnit) {
    List<Plot> plots = new ArrayList<>(List.of(loss(lossUnit)));
    for (String metric : Shown.metrics(timeline.last().test())) {
      String unit = Shown.isShare(metric) ? "% of the samples" : "mean of the samples";
      plots.add(
          plot(Shown.title(metric), unit)
              .line("training", Ink.BLUE, ofMetric(metric, EpochMetrics::train))
              .line("test", Ink.ORANGE, ofMetric(metric, EpochMetrics::test)));
    }
    plots.add(
        plot("Learning rate", "of the weights").line("learning rate", Ink.GREEN, learningRate()));
    return plots;
  }

  private Plot loss(String unit) {
    Plot loss = plot("Loss", unit);
    String training = "training";
    if (!timeline.steps().isEmpty()) {
      loss.thin(Ink.BLUE, timeline.ofSteps(Timeline.MOST_POINTS, StepMetrics::loss));
      training += ", thin: in the recorded steps";
    }
    return loss.line(training, Ink.BLUE, timeline.ofEpochs(EpochMetrics::trainLoss))
        .line("test", Ink.ORANGE, timeline.ofEpochs(EpochMetrics::testLoss));
  }

  private Curve ofMetric(String name, Function<EpochMetrics, Map<String, Double>> part) {
    return timeline.ofEpochs(e -> Shown.scaled(name, part.apply(e).getOrDefault(name, Double.NaN)));
  }

  private Curve learningRate() {
    return timeline.steps().isEmpty()
        ? timeline.ofEpochs(EpochMetrics::learningRate)
        : timeline.ofSteps(Timeline.MOST_POINTS, StepMetrics::learningRate);
  }

  private Plot plot(String title, String unit) {
    return timeline.plot(title, unit, PlotSize.WIDE);
  }

  /** Stacked: each bar goes up to the sum of its phase and those below, and hides those. */
  Plot phases() {
    int epochs = timeline.epochs().size();
    double width = BAR_WIDTH * Math.max(1, (double) epochs / MOST_BARS);
    XAxis axis = new XAxis("epoch", 0.5, timeline.last().epoch() + 0.5);
    Plot plot = new Plot("Training time of an epoch", "seconds", PlotSize.WIDE, axis);
    for (int top = PHASES.length - 1; top >= 0; top--) {
      List<Phase> stack = List.of(PHASES).subList(0, top + 1);
      plot.bars(
          name(PHASES[top]),
          PHASE_INKS[top],
          width,
          seconds(s -> stack.stream().mapToDouble(s::of).sum()));
    }
    return plot;
  }

  static String name(Phase phase) {
    return phase.name().toLowerCase(Locale.ROOT);
  }

  private Curve seconds(ToDoubleFunction<PhaseSeconds> phases) {
    List<EpochMetrics> epochs = timeline.epochs();
    return Curve.of(
        epochs.size(),
        MOST_BARS,
        i -> epochs.get(i).epoch(),
        i -> phases.applyAsDouble(epochs.get(i).seconds()));
  }
}
