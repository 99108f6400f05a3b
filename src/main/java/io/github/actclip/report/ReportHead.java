package io.github.actclip.report;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.train.EpochMetrics;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** What a {@link Report} says first: a sentence, and some numbers large. */
final class ReportHead {

  private ReportHead() {}

  static String headline(RunSummary summary) {
    EpochMetrics last = summary.last();
    Double accuracy = last.test().get("accuracy");
    return format(
            accuracy == null ? "Test loss %s on %,d test samples" : "%s of %,d test samples right",
            accuracy == null ? Shown.number(last.testLoss()) : Shown.percent(accuracy),
            summary.testSamples())
        + format(
            " after %s%s%s.",
            length(summary), summary.stopped() ? " (stopped early)" : "", thresholds(last));
  }

  private static String length(RunSummary summary) {
    EpochMetrics last = summary.last();
    if (last.step() < last.epoch() * summary.stepsPerEpoch()) {
      return format("%,d step%s", last.step(), last.step() == 1 ? "" : "s");
    }
    return format("%d epoch%s", last.epoch(), last.epoch() == 1 ? "" : "s");
  }

  private static String thresholds(EpochMetrics last) {
    DoubleSummaryStatistics ends = statistics(last, ActivationStatistics::threshold);
    return switch ((int) ends.getCount()) {
      case 0 -> "";
      case 1 -> "; the threshold ended at " + Shown.number(ends.getMax());
      default ->
          format(
              "; its %d thresholds ended between %s and %s",
              ends.getCount(), Shown.number(ends.getMin()), Shown.number(ends.getMax()));
    };
  }

  private static DoubleSummaryStatistics statistics(
      EpochMetrics last, ToDoubleFunction<ActivationStatistics> value) {
    return last.thresholds().values().stream().mapToDouble(value).summaryStatistics();
  }

  static String tiles(RunSummary summary, List<EpochMetrics> epochs) {
    EpochMetrics last = summary.last();
    StringBuilder tiles = new StringBuilder("<dl class=\"tiles\">");
    for (String metric : Shown.metrics(last.test())) {
      tiles.append(
          tile("test " + Shown.label(metric), Shown.text(metric, last.test().get(metric))));
    }
    tiles.append(tile("test loss", Shown.number(last.testLoss())));
    DoubleSummaryStatistics clipped = statistics(last, ActivationStatistics::clipRate);
    if (clipped.getCount() == 1) {
      double threshold = statistics(last, ActivationStatistics::threshold).getMax();
      tiles.append(tile("threshold", Shown.number(threshold)));
      tiles.append(tile("clip rate", Shown.percent(clipped.getMax())));
    } else if (clipped.getCount() > 1) {
      tiles.append(tile("thresholds", format("%,d", clipped.getCount())));
      tiles.append(tile("mean clip rate", Shown.percent(clipped.getAverage())));
    }
    double seconds = epochs.stream().mapToDouble(e -> e.seconds().total()).sum();
    return tiles
        + tile("steps", format("%,d", last.step()))
        + tile("training", format(seconds < 600 ? "%.1f s" : "%,.0f s", seconds))
        + "</dl>";
  }

  private static String tile(String name, String value) {
    return "<div><dt>" + Html.escape(name) + "</dt><dd>" + value + "</dd></div>\n";
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
