package io.github.actclip.report;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.io.Json;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Phase;
import io.github.actclip.train.PhaseSeconds;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The tables of a {@link Report}. */
final class ReportTables {

  /** What the names alone do not say. */
  private static final Map<String, String> LABELS =
      Map.of(
          "pytorch", "LibTorch presets",
          "java", "Java",
          "cpu", "vector instructions",
          "cuda", "CUDA devices",
          "threads", "LibTorch's threads",
          "blas threads", "OpenBLAS's threads");

  private static final Pattern ENUM = Pattern.compile("[A-Z][A-Z0-9_]*");

  private ReportTables() {}

  /** One row an epoch, the best marked. */
  static String epochs(List<EpochMetrics> epochs) {
    double best = epochs.stream().mapToDouble(EpochMetrics::testAccuracy).max().orElse(Double.NaN);
    String head =
        Html.row(
            "th",
            "epoch",
            "learning rate",
            "training loss",
            "training accuracy",
            "test loss",
            "test accuracy",
            "threshold",
            "clip rate",
            "seconds",
            "images/s");
    return epochs.stream()
        .map(e -> (e.testAccuracy() == best ? "<tbody class=\"best\">" : "<tbody>") + epoch(e))
        .collect(Collectors.joining("", "<table class=\"numbers\">\n<thead>" + head, "</table>"));
  }

  private static String epoch(EpochMetrics e) {
    return Html.row(
        "td",
        String.valueOf(e.epoch()),
        format("%.3g", e.learningRate()),
        format("%.4f", e.trainLoss()),
        format("%.2f %%", 100 * e.trainAccuracy()),
        format("%.4f", e.testLoss()),
        format("%.2f %%", 100 * e.testAccuracy()),
        format("%.4f", e.actMax()),
        format("%.2f %%", 100 * e.clipRate()),
        format("%.1f", e.seconds().total()),
        format("%,.0f", e.imagesPerSecond()));
  }

  /** Where the time of all epochs went. */
  static String phases(List<EpochMetrics> epochs) {
    long steps = epochs.get(epochs.size() - 1).step();
    double all = sum(epochs, PhaseSeconds::total);
    StringBuilder rows =
        new StringBuilder(Html.row("th", "phase", "seconds", "share", "ms a step"));
    for (Phase phase : Phase.values()) {
      double time = sum(epochs, seconds -> seconds.of(phase));
      rows.append(
          Html.row(
              "td",
              ReportPlots.name(phase),
              format("%.1f", time),
              format("%.1f %%", all > 0 ? 100 * time / all : 0),
              format("%.2f", 1000 * time / steps)));
    }
    return "<table class=\"numbers\">\n" + rows + "</table>";
  }

  private static double sum(List<EpochMetrics> epochs, ToDoubleFunction<PhaseSeconds> seconds) {
    return epochs.stream().mapToDouble(e -> seconds.applyAsDouble(e.seconds())).sum();
  }

  /** What the training was told: every option that there is, so that none can be forgotten. */
  static String options(RunSummary summary) {
    Map<String, String> options = new LinkedHashMap<>();
    flatten("", Json.tree(summary.options()), options);
    flatten("", Json.tree(summary.net()), options);
    options.replaceAll((name, value) -> ENUM.matcher(value).matches() ? lowerCase(value) : value);
    Map<String, String> rows = new LinkedHashMap<>();
    rows.put("images", summary.dataName());
    rows.put("images from", summary.data());
    rows.put("training images", format("%,d", summary.trainImages()));
    rows.put("test images", format("%,d", summary.testImages()));
    rows.putAll(options);
    return table(rows);
  }

  /** What the training ran on; not the cache, whose folder may name a user. */
  static String environment(RunSummary summary) {
    Map<String, String> rows = new LinkedHashMap<>();
    rows.put("device", summary.device());
    flatten("", Json.tree(summary.environment()), rows);
    rows.remove("cache folder");
    return table(rows);
  }

  private static void flatten(String name, JsonNode node, Map<String, String> rows) {
    if (node.isObject()) {
      node.properties().forEach(e -> flatten(join(name, e.getKey()), e.getValue(), rows));
    } else {
      rows.put(LABELS.getOrDefault(name, name), text(node));
    }
  }

  /** {@code activation} and {@code weight_bits}: {@code activation weight bits}. */
  private static String join(String parent, String key) {
    String name = key.replace('_', ' ');
    return parent.isEmpty() || name.startsWith(parent) ? name : parent + " " + name;
  }

  private static String text(JsonNode node) {
    if (node.isNull()) {
      return "none";
    }
    if (node.isBoolean()) {
      return node.booleanValue() ? "yes" : "no";
    }
    if (node.isArray()) {
      List<String> texts = new ArrayList<>();
      node.forEach(element -> texts.add(text(element)));
      return String.join(", ", texts);
    }
    return node.isDouble() ? number(node.doubleValue()) : node.asText();
  }

  private static String number(double value) {
    if (Double.isInfinite(value)) {
      return value < 0 ? "−∞" : "∞";
    }
    boolean readable = value == 0 || Math.abs(value) >= 1e-6 && Math.abs(value) < 1e9;
    return readable
        ? new BigDecimal(String.valueOf(value)).stripTrailingZeros().toPlainString()
        : String.valueOf(value);
  }

  /** As the command line takes it. */
  private static String lowerCase(String value) {
    return value.toLowerCase(Locale.ROOT);
  }

  private static String table(Map<String, String> rows) {
    return rows.entrySet().stream()
        .map(
            e ->
                "<tr><th scope=\"row\">"
                    + Html.escape(e.getKey())
                    + "</th><td>"
                    + Html.escape(e.getValue())
                    + "</td></tr>\n")
        .collect(Collectors.joining("", "<table>\n", "</table>"));
  }

  private static String format(String pattern, Object value) {
    return String.format(Locale.ROOT, pattern, value);
  }
}
