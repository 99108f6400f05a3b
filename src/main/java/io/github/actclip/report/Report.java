package io.github.actclip.report;

import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.Resources;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.StepMetrics;
import java.awt.AWTError;
import java.awt.Font;
import java.awt.GraphicsEnvironment;
import java.awt.font.FontRenderContext;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.logging.log4j.Logger;

/**
 * The page that shows one training. It is one file with everything in it, and runs no script: its
 * policy forbids the browser to load or to run anything.
 */
final class Report {

  private static final Logger LOG = Loggers.of(Report.class);

  private static final String PAGE =
      """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>actclip: %1$s</title>
      <style>
      %3$s</style>
      </head>
      <body>
      <header>
      <h1>%2$s</h1>
      <p>%1$s</p>
      </header>
      %4$s
      %5$s
      <section>
      <h2>Epochs</h2>
      <div class="scroll">%6$s</div>
      </section>
      <div class="columns">
      <section>
      <h2>Options</h2>
      %7$s
      </section>
      <section>
      <h2>Environment</h2>
      %8$s
      <h2>To get the same again</h2>
      <p>%9$s</p>
      </section>
      </div>
      </body>
      </html>
      """;

  private static final String SEEN = "Activations that the first 250 test samples cause";

  private Report() {}

  /**
   * The page.
   *
   * @param epochs at least one
   * @param steps those that were recorded, in order; without them the plots have a point an epoch
   */
  static String html(RunSummary summary, List<EpochMetrics> epochs, List<StepMetrics> steps) {
    return format(
        PAGE,
        Html.escape(ReportHead.headline(summary)),
        Html.escape(summary.network() + " on " + summary.dataName()),
        styleSheet(),
        ReportHead.tiles(summary, epochs),
        findings(summary, new Timeline(summary.stepsPerEpoch(), epochs, steps)),
        ReportTables.epochs(epochs),
        ReportTables.options(summary),
        ReportTables.environment(summary),
        Html.escape(reproduction(summary)));
  }

  private static String findings(RunSummary summary, Timeline timeline) {
    String phases = scroll(ReportTables.phases(timeline.epochs()));
    String thresholds = scroll(ReportTables.thresholds(timeline.epochs()));
    boolean isMany = timeline.thresholds().size() > 1;
    if (!canLabel()) {
      return "<p>No plots: this machine has no font to label them with"
          + " (on Debian, install fontconfig and fonts-dejavu-core).</p>"
          + confusion(summary.confusion())
          + (isMany ? section("Thresholds", thresholds) : "");
    }
    ReportPlots plots = new ReportPlots(timeline);
    ThresholdPlots own = new ThresholdPlots(timeline);
    List<Plot> learning = new ArrayList<>(plots.learning(summary.loss()));
    learning.addAll(own.clipRate());
    String time = "<div class=\"plots\">\n" + plots.phases().html("time") + phases + "</div>\n";
    return section("Learning", figures("plots", "learning", learning))
        + confusion(summary.confusion())
        + (isMany ? ofMany(thresholds, timeline, own) : ofOne(timeline, own))
        + section("Time", time);
  }

  private static String confusion(ConfusionMatrix matrix) {
    ConfusionTable table = new ConfusionTable(matrix);
    return matrix.classes().isEmpty()
        ? ""
        : section("What the test samples were taken for", table.sentence(), scroll(table.table()));
  }

  /** Of a network with one layer that clips, or none. */
  private static String ofOne(Timeline timeline, ThresholdPlots own) {
    if (timeline.thresholds().isEmpty()) {
      return "";
    }
    List<Plot> seen = new ActivationPlots(timeline).overTime();
    return section("Thresholds", figures("plots", "threshold", own.parameters()))
        + section(SEEN, figures("plots three", "activation", seen));
  }

  private static String ofMany(String table, Timeline timeline, ThresholdPlots own) {
    int layers = timeline.thresholds().size();
    String limit =
        layers > ThresholdPlots.MOST_SMALL
            ? format(
                "<p>The small plots are of the first %d of %d layers; the table has all.</p>\n",
                ThresholdPlots.MOST_SMALL, layers)
            : "";
    List<Plot> seen = new ActivationPlots(timeline).ofLayers();
    return section(
            "Thresholds",
            table,
            limit,
            figures("plots", "threshold", own.parameters()),
            "<h3>Threshold, after each epoch</h3>\n",
            figures("plots small", "value", own.values()),
            "<h3>Clip rate, % of the activations, after each epoch</h3>\n",
            figures("plots small", "clipped", own.clipRates()))
        + section(SEEN, figures("plots small", "activation", seen));
  }

  private static String scroll(String table) {
    return "<div class=\"scroll\">" + table + "</div>\n";
  }

  private static String figures(String style, String name, List<Plot> plots) {
    return IntStream.range(0, plots.size())
        .mapToObj(i -> plots.get(i).html(name + i))
        .collect(Collectors.joining("", "<div class=\"" + style + "\">\n", "</div>\n"));
  }

  private static String section(String title, String... content) {
    return "<section>\n<h2>" + title + "</h2>\n" + String.join("", content) + "</section>\n";
  }

  /**
   * A JDK without fontconfig or freetype beside it cannot measure text, and says so in many ways;
   * one whose working folder has a name that it cannot read cannot draw at all.
   */
  private static boolean canLabel() {
    try {
      GraphicsEnvironment.getLocalGraphicsEnvironment();
      Font font = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
      return font.getStringBounds("1", new FontRenderContext(null, true, true)).getWidth() > 0;
    } catch (RuntimeException | InternalError | LinkageError | AWTError e) {
      LOG.warn(
          "The report has no plots, because this JVM cannot draw or label them ({})", e.toString());
      return false;
    }
  }

  private static String reproduction(RunSummary summary) {
    return format(
        "On the CPU, the same options, seed and samples give the same bits again at the same number"
            + " of threads (%d for LibTorch, %d for OpenBLAS), with the same vector instructions"
            + " (%s) and the same builds of actclip (%s) and of LibTorch (%s). Another one of these"
            + " rounds otherwise, and a training soon makes much of that. On a GPU, no two trainings"
            + " need be alike. summary.json, beside this page, holds the same options for programs.",
        summary.environment().threads(),
        summary.environment().blasThreads(),
        summary.environment().cpu(),
        summary.environment().actclip(),
        summary.environment().pytorch());
  }

  private static String styleSheet() {
    byte[] css = Resources.read(Report.class.getResource("report.css"));
    return new String(css, StandardCharsets.UTF_8);
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
