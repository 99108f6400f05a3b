package io.github.actclip.report;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.report.Plot.Ink;
import io.github.actclip.report.Plot.XAxis;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Phase;
import io.github.actclip.train.PhaseSeconds;
import io.github.actclip.train.StepMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/** Which plots a {@link Report} has. Over time, a training is measured in epochs. */
final class ReportPlots {

  private static final Phase[] PHASES = Phase.values();
  private static final Ink[] PHASE_INKS = {Ink.GREEN, Ink.BLUE, Ink.ORANGE, Ink.PURPLE, Ink.GREY};

  private static final int WIDE = 520;
  private static final int NARROW = 340;

  private static final int MOST_POINTS = 500;

  /** How many points all channels of a threshold have together. */
  private static final int MOST_CHANNEL_POINTS = 8000;

  private static final int FEWEST_CHANNEL_POINTS = 20;
  private static final int MOST_BARS = 100;
  private static final double BAR_WIDTH = 0.8;
  private static final double BINS_BELOW = 10;

  private final RunSummary summary;
  private final List<EpochMetrics> epochs;
  private final List<StepMetrics> steps;
  private final double stepsPerEpoch;

  /**
   * Of one training.
   *
   * @param epochs at least one
   * @param steps in order, as many as were recorded
   */
  ReportPlots(RunSummary summary, List<EpochMetrics> epochs, List<StepMetrics> steps) {
    this.summary = summary;
    this.epochs = epochs;
    this.steps = steps;
    stepsPerEpoch = summary.stepsPerEpoch();
  }

  /** What the training came to. */
  List<Plot> learning() {
    Plot loss = overTime("Loss", "cross-entropy, nats");
    String training = "training";
    if (!steps.isEmpty()) {
      loss.thin(Ink.BLUE, ofSteps(MOST_POINTS, StepMetrics::loss));
      training += ", thin: in the recorded steps";
    }
    return List.of(
        loss.line(training, Ink.BLUE, ofEpochs(EpochMetrics::trainLoss))
            .line("test", Ink.ORANGE, ofEpochs(EpochMetrics::testLoss)),
        overTime("Accuracy", "% of the images")
            .line("training", Ink.BLUE, ofEpochs(e -> 100 * e.trainAccuracy()))
            .line("test", Ink.ORANGE, ofEpochs(e -> 100 * e.testAccuracy())),
        overTime("Learning rate", "of the weights")
            .line("learning rate", Ink.GREEN, learningRate()),
        overTime("Clip rate", "% of the activations, which lie above the threshold")
            .line("clip rate", Ink.ORANGE, ofEpochs(e -> 100 * e.clipRate())));
  }

  private Curve learningRate() {
    return steps.isEmpty()
        ? ofEpochs(EpochMetrics::learningRate)
        : ofSteps(MOST_POINTS, StepMetrics::learningRate);
  }

  /** Stacked: each bar goes up to the sum of its phase and those below, and hides those. */
  Plot phases() {
    int last = epochs.get(epochs.size() - 1).epoch();
    double width = BAR_WIDTH * Math.max(1, (double) epochs.size() / MOST_BARS);
    XAxis axis = new XAxis("epoch", 0.5, last + 0.5);
    Plot plot = new Plot("Training time of an epoch", "seconds", WIDE, axis);
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
    return Curve.of(
        epochs.size(),
        MOST_BARS,
        i -> epochs.get(i).epoch(),
        i -> phases.applyAsDouble(epochs.get(i).seconds()));
  }

  /** Every threshold and its gradient. */
  List<Plot> thresholds() {
    Plot afterEpochs =
        overTime("Threshold of the activations", "mean of the channels, after each epoch")
            .line("threshold", Ink.BLUE, ofEpochs(EpochMetrics::actMax));
    if (steps.isEmpty()) {
      return List.of(
          afterEpochs,
          overTime("Gradient of the first threshold", "of each epoch's last step")
              .line("gradient", Ink.PURPLE, ofEpochs(EpochMetrics::thresholdGradient)));
    }
    List<Plot> plots = new ArrayList<>();
    for (String name : steps.get(0).thresholds().keySet()) {
      plots.add(ofChannels(name, "the parameter's value", Ink.BLUE, s -> s.thresholds().get(name)));
      plots.add(
          ofChannels(
              "Gradient of " + name, gradientUnit(), Ink.PURPLE, s -> s.gradients().get(name)));
    }
    if (!learnsItself()) {
      plots.add(afterEpochs);
    }
    return plots;
  }

  /** Whether the parameter is the threshold, and not its logarithm, say, or a quantizer's step. */
  private boolean learnsItself() {
    ActivationOptions activation = summary.net().activation();
    return activation.parameterization() == Parameterization.RAW
        && activation.activationBits() == 0;
  }

  private String gradientUnit() {
    int most = (steps.size() + MOST_POINTS - 1) / MOST_POINTS;
    return "nats per unit, "
        + (most <= 1 ? "in the recorded steps" : "mean of every " + most + " recorded steps");
  }

  private Plot ofChannels(
      String title, String unit, Ink ink, Function<StepMetrics, List<Double>> values) {
    Plot plot = overTime(title, unit);
    int channels = values.apply(steps.get(0)).size();
    if (channels == 1) {
      return plot.line(
          "one for all channels", ink, ofSteps(MOST_POINTS, s -> mean(values.apply(s))));
    }
    int points =
        Math.max(FEWEST_CHANNEL_POINTS, Math.min(MOST_POINTS, MOST_CHANNEL_POINTS / channels));
    for (int i = 0; i < channels; i++) {
      int channel = i;
      plot.thin(ink, ofSteps(points, s -> values.apply(s).get(channel)));
    }
    return plot.line(
        "mean of the " + channels + " channels, which are the thin lines",
        Ink.TEXT,
        ofSteps(points, s -> mean(values.apply(s))));
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
  }

  /** How the activations of the first, the middle and the last epoch lie about the threshold. */
  List<Plot> activations() {
    List<EpochMetrics> shown =
        IntStream.of(0, (epochs.size() - 1) / 2, epochs.size() - 1)
            .distinct()
            .mapToObj(epochs::get)
            .toList();
    // The bar of the smallest goes beyond: it holds the zeros of the ReLU, more than all others.
    double most =
        shown.stream()
            .flatMapToDouble(e -> IntStream.range(1, bins(e)).mapToDouble(i -> percent(e, i)))
            .max()
            .orElse(0);
    return shown.stream().map(e -> histogram(e, most > 0 ? 1.1 * most : 100)).toList();
  }

  private static Plot histogram(EpochMetrics e, double most) {
    Curve below = shares(e, 0, Math.min((int) BINS_BELOW, bins(e)));
    Curve above = shares(e, Math.min((int) BINS_BELOW, bins(e)), bins(e));
    return new Plot(
            "After epoch " + e.epoch(),
            String.format(Locale.ROOT, "%%; first bar %.0f %%", percent(e, 0)),
            NARROW,
            new XAxis("activation / threshold", 0, 2))
        .bars("kept", Ink.BLUE, 1 / BINS_BELOW, below)
        .bars("clipped", Ink.ORANGE, 1 / BINS_BELOW, above)
        .mark("threshold", 1)
        .upTo(most);
  }

  private static int bins(EpochMetrics e) {
    return e.activations().size();
  }

  private static Curve shares(EpochMetrics e, int from, int to) {
    return Curve.of(
        to - from, MOST_BARS, i -> (from + i + 0.5) / BINS_BELOW, i -> percent(e, from + i));
  }

  private static double percent(EpochMetrics e, int bin) {
    long all = e.activations().stream().mapToLong(Long::longValue).sum();
    return all == 0 ? 0 : 100.0 * e.activations().get(bin) / all;
  }

  private Plot overTime(String title, String unit) {
    double end = epochs.get(epochs.size() - 1).step() / stepsPerEpoch;
    return new Plot(title, unit, WIDE, new XAxis("epoch", 0, end));
  }

  Curve ofEpochs(ToDoubleFunction<EpochMetrics> value) {
    return Curve.of(
        epochs.size(),
        MOST_POINTS,
        i -> epochs.get(i).step() / stepsPerEpoch,
        i -> value.applyAsDouble(epochs.get(i)));
  }

  private Curve ofSteps(int most, ToDoubleFunction<StepMetrics> value) {
    return Curve.of(
        steps.size(),
        most,
        i -> steps.get(i).step() / stepsPerEpoch,
        i -> value.applyAsDouble(steps.get(i)));
  }
}
