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
        Html.escape(headline(summary)),
        Html.escape("Net on " + summary.dataName()),
        styleSheet(),
        tiles(summary, epochs),
        plots(new ReportPlots(summary, epochs, steps), ReportTables.phases(epochs)),
        ReportTables.epochs(epochs),
        ReportTables.options(summary),
        ReportTables.environment(summary),
        Html.escape(reproduction(summary)));
  }

  private static String headline(RunSummary summary) {
    EpochMetrics last = summary.last();
    return format(
        "%.2f %% of %,d test images right after %s%s; the threshold ended at %.4f.",
        100 * last.testAccuracy(),
        summary.testImages(),
        length(summary),
        summary.stopped() ? " (stopped early)" : "",
        last.actMax());
  }

  private static String length(RunSummary summary) {
    EpochMetrics last = summary.last();
    if (last.step() < last.epoch() * summary.stepsPerEpoch()) {
      return format("%,d step%s", last.step(), last.step() == 1 ? "" : "s");
    }
    return format("%d epoch%s", last.epoch(), last.epoch() == 1 ? "" : "s");
  }

  private static String tiles(RunSummary summary, List<EpochMetrics> epochs) {
    EpochMetrics last = summary.last();
    double seconds = epochs.stream().mapToDouble(e -> e.seconds().total()).sum();
    return "<dl class=\"tiles\">"
        + tile("test accuracy", format("%.2f %%", 100 * last.testAccuracy()))
        + tile("test loss", format("%.4f", last.testLoss()))
        + tile("threshold", format("%.4f", last.actMax()))
        + tile("clip rate", format("%.2f %%", 100 * last.clipRate()))
        + tile("steps", format("%,d", last.step()))
        + tile("training", format(seconds < 600 ? "%.1f s" : "%,.0f s", seconds))
        + "</dl>";
  }

  private static String tile(String name, String value) {
    return "<div><dt>" + name + "</dt><dd>" + value + "</dd></div>\n";
  }

  private static String plots(ReportPlots plots, String phases) {
    if (!canLabel()) {
      return "<p>No plots: this machine has no font to label them with"
          + " (on Debian, install fontconfig and fonts-dejavu-core).</p>";
    }
    return section("Learning", "plots", figures("learning", plots.learning()))
        + section("Thresholds", "plots", figures("threshold", plots.thresholds()))
        + section(
            "Activations that the first 250 test images cause",
            "plots three",
            figures("activation", plots.activations()))
        + section(
            "Time",
            "plots",
            plots.phases().html("time") + "<div class=\"scroll\">" + phases + "</div>");
  }

  private static String figures(String name, List<Plot> plots) {
    return IntStream.range(0, plots.size())
        .mapToObj(i -> plots.get(i).html(name + i))
        .collect(Collectors.joining());
  }

  private static String section(String title, String style, String content) {
    return format(
        "<section>\n<h2>%s</h2>\n<div class=\"%s\">\n%s</div>\n</section>\n",
        title, style, content);
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
        "On the CPU, the same options, seed and images give the same bits again at the same number"
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
