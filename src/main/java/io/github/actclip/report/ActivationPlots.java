package io.github.actclip.report;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.report.Plot.Ink;
import io.github.actclip.report.Plot.XAxis;
import io.github.actclip.train.EpochMetrics;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** How activations lie about their threshold. */
final class ActivationPlots {

  private static final int MOST_BARS = 100;
  private static final double BINS_BELOW = 10;

  private final Timeline timeline;

  ActivationPlots(Timeline timeline) {
    this.timeline = timeline;
  }

  /** Of one layer, after the first, the middle and the last epoch. */
  List<Plot> overTime() {
    String layer = timeline.thresholds().get(0);
    List<EpochMetrics> epochs =
        timeline.epochs().stream().filter(e -> e.thresholds().containsKey(layer)).toList();
    Map<String, ActivationStatistics> shown = new LinkedHashMap<>();
    IntStream.of(0, (epochs.size() - 1) / 2, epochs.size() - 1)
        .mapToObj(epochs::get)
        .forEach(e -> shown.put("After epoch " + e.epoch(), e.thresholds().get(layer)));
    return histograms(shown, PlotSize.NARROW);
  }

  /** Of the first of many layers, after the last epoch. */
  List<Plot> ofLayers() {
    Map<String, ActivationStatistics> shown = new LinkedHashMap<>(timeline.last().thresholds());
    shown
        .keySet()
        .retainAll(timeline.thresholds().stream().limit(ThresholdPlots.MOST_SMALL).toList());
    return histograms(shown, PlotSize.SMALL);
  }

  private static List<Plot> histograms(Map<String, ActivationStatistics> shown, PlotSize size) {
    double most = most(shown.values());
    return shown.entrySet().stream()
        .map(e -> histogram(e.getKey(), e.getValue(), size).between(0, most))
        .toList();
  }

  /** The bar of the smallest goes beyond: it holds the zeros of a ReLU, more than all others. */
  private static double most(Collection<ActivationStatistics> shown) {
    double most =
        shown.stream()
            .flatMapToDouble(
                s -> IntStream.range(1, s.histogram().size()).mapToDouble(i -> percent(s, i)))
            .max()
            .orElse(0);
    return most > 0 ? 1.1 * most : 100;
  }

  private static Plot histogram(String title, ActivationStatistics seen, PlotSize size) {
    int bins = seen.histogram().size();
    int below = Math.min((int) BINS_BELOW, bins);
    String unit = String.format(Locale.ROOT, "%%; first bar %.0f %%", percent(seen, 0));
    return new Plot(title, unit, size, new XAxis("activation / threshold", 0, 2))
        .bars("kept", Ink.BLUE, 1 / BINS_BELOW, shares(seen, 0, below))
        .bars("clipped", Ink.ORANGE, 1 / BINS_BELOW, shares(seen, below, bins))
        .mark("threshold", 1);
  }

  private static Curve shares(ActivationStatistics seen, int from, int to) {
    return Curve.of(
        to - from, MOST_BARS, i -> (from + i + 0.5) / BINS_BELOW, i -> percent(seen, from + i));
  }

  private static double percent(ActivationStatistics seen, int bin) {
    long all = seen.histogram().stream().mapToLong(Long::longValue).sum();
    return all == 0 ? 0 : 100.0 * seen.histogram().get(bin) / all;
  }
}
