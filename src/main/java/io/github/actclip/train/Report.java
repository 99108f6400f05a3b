package io.github.actclip.train;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.runtime.ActclipException;
import java.awt.AWTError;
import java.awt.Color;
import java.awt.Font;
import java.awt.font.FontRenderContext;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The page that shows one training: its numbers, and plots as SVG inside the page. */
final class Report {

  private static final Logger LOG = LogManager.getLogger(Report.class);

  private static final int PLOT_WIDTH = 480;
  private static final int PLOT_HEIGHT = 320;

  private static final String PAGE =
      """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <title>actclip: a training of Net</title>
      <style>
      body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1020px;
             margin: 2em auto; padding: 0 1em; }
      h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
      table { border-collapse: collapse; }
      th, td { padding: .2em .9em .2em 0; text-align: left; border-bottom: 1px solid #ddd; }
      td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
      .plots svg { width: %d; height: %d; max-width: 100%%; }
      </style>
      </head>
      <body>
      <h1>A training of Net</h1>
      <p><strong>%s</strong></p>
      <div class="plots">
      %s
      </div>
      <h2>Epochs</h2>
      %s
      <h2>Options</h2>
      %s
      <h2>Environment</h2>
      %s
      </body>
      </html>
      """;

  private Report() {}

  /** A line of a plot: its name and its value at an epoch. */
  private record Line(String name, ToDoubleFunction<EpochMetrics> value) {}

  static String html(RunSummary summary, List<EpochMetrics> epochs) {
    return PAGE.formatted(
        PLOT_WIDTH,
        PLOT_HEIGHT,
        escape(headline(summary)),
        plots(epochs),
        epochTable(epochs),
        table(options(summary)),
        table(environment(summary)));
  }

  private static String headline(RunSummary summary) {
    EpochMetrics last = summary.last();
    return String.format(
        Locale.ROOT,
        "%.2f %% of %,d test images right after %d epoch%s%s; the threshold ended at %.4f.",
        100 * last.testAccuracy(),
        summary.testImages(),
        last.epoch(),
        last.epoch() == 1 ? "" : "s",
        summary.stopped() ? " (stopped early)" : "",
        last.actMax());
  }

  private static String plots(List<EpochMetrics> epochs) {
    if (!canLabel()) {
      return "<p>No plots: this machine has no font to label them with"
          + " (on Debian, install fontconfig and fonts-dejavu-core).</p>";
    }
    return plot(
            "Loss (cross-entropy, nats)",
            epochs,
            new Line("train", EpochMetrics::trainLoss),
            new Line("test", EpochMetrics::testLoss))
        + plot(
            "Accuracy (%)",
            epochs,
            new Line("train", e -> 100 * e.trainAccuracy()),
            new Line("test", e -> 100 * e.testAccuracy()))
        + plot("act_max, the learned threshold", epochs, new Line("act_max", EpochMetrics::actMax))
        + plot(
            "Activations above the threshold (%)",
            epochs, new Line("clip rate", e -> 100 * e.clipRate()));
  }

  /**
   * A JDK without fontconfig or freetype beside it cannot measure text, and says so in many ways.
   */
  private static boolean canLabel() {
    try {
      Font font = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
      return font.getStringBounds("1", new FontRenderContext(null, true, true)).getWidth() > 0;
    } catch (RuntimeException | InternalError | LinkageError | AWTError e) {
      LOG.warn(
          "The report has no plots, because this machine has no font for them ({})", e.toString());
      return false;
    }
  }

  private static String plot(String title, List<EpochMetrics> epochs, Line... lines) {
    XYChart chart =
        new XYChartBuilder()
            .width(PLOT_WIDTH)
            .height(PLOT_HEIGHT)
            .title(title)
            .xAxisTitle("epoch")
            .build();
    chart.getStyler().setLegendPosition(LegendPosition.OutsideS);
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setYAxisDecimalPattern("#.####");
    double[] x = epochs.stream().mapToDouble(EpochMetrics::epoch).toArray();
    for (Line line : lines) {
      double[] y = epochs.stream().mapToDouble(line.value()).toArray();
      chart.addSeries(line.name(), x, y).setMarker(SeriesMarkers.CIRCLE);
    }
    return svg(chart);
  }

  private static String svg(XYChart chart) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      VectorGraphicsEncoder.saveVectorGraphic(chart, out, VectorGraphicsFormat.SVG);
    } catch (IOException e) {
      throw ActclipException.failure(e, "a plot cannot be drawn: %s", e.getMessage());
    }
    String document = out.toString(StandardCharsets.UTF_8);
    return document.substring(document.indexOf("<svg"));
  }

  private static String epochTable(List<EpochMetrics> epochs) {
    String head =
        row(
            "th",
            "epoch",
            "learning rate",
            "train loss",
            "train accuracy",
            "test loss",
            "test accuracy",
            "act_max",
            "clip rate",
            "images/s");
    return epochs.stream()
        .map(Report::epochRow)
        .collect(Collectors.joining("", "<table>\n" + head, "</table>"));
  }

  private static String epochRow(EpochMetrics e) {
    return row(
        "td",
        String.valueOf(e.epoch()),
        String.format(Locale.ROOT, "%.3g", e.learningRate()),
        String.format(Locale.ROOT, "%.4f", e.trainLoss()),
        String.format(Locale.ROOT, "%.2f %%", 100 * e.trainAccuracy()),
        String.format(Locale.ROOT, "%.4f", e.testLoss()),
        String.format(Locale.ROOT, "%.2f %%", 100 * e.testAccuracy()),
        String.format(Locale.ROOT, "%.4f", e.actMax()),
        String.format(Locale.ROOT, "%.2f %%", 100 * e.clipRate()),
        String.format(Locale.ROOT, "%,.0f", e.imagesPerSecond()));
  }

  private static String row(String tag, String... cells) {
    StringBuilder row = new StringBuilder("<tr>");
    for (String cell : cells) {
      row.append("<%1$s class=\"number\">%2$s</%1$s>".formatted(tag, escape(cell)));
    }
    return row.append("</tr>\n").toString();
  }

  private static Map<String, Object> options(RunSummary summary) {
    TrainerOptions options = summary.options();
    Map<String, Object> rows = new LinkedHashMap<>();
    rows.put("images", summary.dataName());
    rows.put("images from", summary.data());
    rows.put("training images", summary.trainImages());
    rows.put("test images", summary.testImages());
    rows.put("epochs", options.epochs());
    rows.put("batch size", options.batchSize());
    rows.put("optimizer", options.optimizer());
    rows.put("learning rate", options.learningRate() + ", " + options.schedule());
    rows.put("momentum", options.momentum());
    rows.put("weight decay", options.weightDecay());
    rows.put("thresholds' learning rate", options.thresholdLearningRateFactor() + " times that");
    rows.put("thresholds' weight decay", options.thresholdWeightDecay());
    rows.put("batches a step", options.accumulation());
    rows.put("precision", options.precision());
    rows.put("longest gradient", options.maxGradNorm() == 0 ? "any length" : options.maxGradNorm());
    rows.put("crop padding", options.augmentation().cropPadding() + " pixels");
    rows.put("horizontal flip", options.augmentation().horizontalFlip() ? "half of them" : "none");
    rows.put("pixels' mean, subtracted", options.normalization().mean());
    rows.put("pixels' deviation, divided by", options.normalization().std());
    rows.put("seed", options.seed());
    addActivation(rows, summary.net().activation());
    return rows;
  }

  private static void addActivation(Map<String, Object> rows, ActivationOptions activation) {
    rows.put("clip", activation.form());
    rows.put("threshold's gradient", activation.rule());
    rows.put("threshold's parameterization", activation.parameterization());
    rows.put(
        "thresholds", activation.perChannel() ? "one for each channel" : "one for all channels");
    if (activation.activationBits() > 0 || activation.weightBits() > 0) {
      rows.put("quantizer", activation.quantization());
      rows.put("activation bits", activation.activationBits());
      rows.put("weight bits", activation.weightBits());
    }
  }

  private static Map<String, Object> environment(RunSummary summary) {
    Map<String, Object> rows = new LinkedHashMap<>();
    rows.put("device", summary.device());
    rows.put("actclip", summary.environment().actclip());
    rows.put("LibTorch presets", summary.environment().pytorch());
    rows.put("Java", summary.environment().java());
    rows.put("platform", summary.environment().platform());
    rows.put("vector instructions", summary.environment().cpu());
    rows.put("threads", summary.environment().threads());
    return rows;
  }

  private static String table(Map<String, Object> rows) {
    return rows.entrySet().stream()
        .map(
            e ->
                "<tr><th>%s</th><td>%s</td></tr>\n"
                    .formatted(escape(e.getKey()), escape(String.valueOf(e.getValue()))))
        .collect(Collectors.joining("", "<table>\n", "</table>"));
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;");
  }
}
