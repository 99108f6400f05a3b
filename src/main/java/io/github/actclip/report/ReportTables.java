package io.github.actclip.report;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import io.github.actclip.io.Json;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Phase;
import io.github.actclip.train.PhaseSeconds;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
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

  private static final Set<String> OF_NETWORKS = Set.of("actclip.net", "actclip.network");

  private static final Pattern ENUM = Pattern.compile("[A-Z][A-Z0-9_]*");

  private ReportTables() {}

  /** One row an epoch, the best marked; with the threshold where there is one. */
  static String epochs(List<EpochMetrics> epochs) {
    double best = epochs.stream().mapToDouble(ReportTables::merit).max().orElse(Double.NaN);
    Set<String> names = columns(epochs.get(0)).keySet();
    String head = Html.row("th", names.toArray(String[]::new));
    return epochs.stream()
        .map(e -> (merit(e) == best ? "<tbody class=\"best\">" : "<tbody>") + epoch(e))
        .collect(Collectors.joining("", "<table class=\"numbers\">\n<thead>" + head, "</table>"));
  }

  /** By the accuracy where there is one, or else by the loss; the more, the better. */
  private static double merit(EpochMetrics e) {
    return e.test().getOrDefault("accuracy", -e.testLoss());
  }

  private static String epoch(EpochMetrics e) {
    return Html.row("td", columns(e).values().toArray(String[]::new));
  }

  private static Map<String, String> columns(EpochMetrics e) {
    Map<String, String> columns = new LinkedHashMap<>();
    columns.put("epoch", String.valueOf(e.epoch()));
    columns.put("learning rate", format("%.3g", e.learningRate()));
    e.train().forEach((name, v) -> columns.put("training " + Shown.label(name), text(name, v)));
    e.test().forEach((name, v) -> columns.put("test " + Shown.label(name), text(name, v)));
    if (e.thresholds().size() == 1) {
      ActivationStatistics seen = e.thresholds().values().iterator().next();
      columns.put("threshold", Shown.number(seen.threshold()));
      columns.put("clip rate", Shown.percent(seen.clipRate()));
    }
    columns.put("seconds", format("%.1f", e.seconds().total()));
    columns.put("samples/s", format("%,.0f", e.samplesPerSecond()));
    return columns;
  }

  private static String text(String metric, double value) {
    return Shown.text(metric, value);
  }

  /** One row for each layer with thresholds, as they are after the last epoch. */
  static String thresholds(List<EpochMetrics> epochs) {
    Map<String, ActivationStatistics> first = epochs.get(0).thresholds();
    StringBuilder rows =
        new StringBuilder(
            Html.row("th", "threshold", "value", "since epoch 1", "gradient", "clip rate"));
    epochs
        .get(epochs.size() - 1)
        .thresholds()
        .forEach(
            (name, seen) -> rows.append(threshold(name, seen, first.getOrDefault(name, seen))));
    return "<table class=\"numbers\">\n" + rows + "</table>";
  }

  private static String threshold(
      String name, ActivationStatistics seen, ActivationStatistics first) {
    return Html.row(
        "td",
        name,
        Shown.number(seen.threshold()),
        format("%+.4f", seen.threshold() - first.threshold()),
        format("%.2e", seen.gradient()),
        Shown.percent(seen.clipRate()));
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
    Map<String, String> rows = new LinkedHashMap<>();
    rows.put("network", summary.network());
    rows.put("data", summary.dataName());
    rows.put("data from", summary.data());
    rows.put("training samples", format("%,d", summary.trainSamples()));
    rows.put("test samples", format("%,d", summary.testSamples()));
    rows.put("loss", summary.loss());
    Map<String, String> options = new LinkedHashMap<>();
    flatten("", Json.tree(summary.options()), options);
    summary.notes().forEach((name, text) -> flatten(subject(name), note(text), options));
    options.replaceAll((name, value) -> ENUM.matcher(value).matches() ? lowerCase(value) : value);
    rows.putAll(options);
    return table(rows);
  }

  /** What a note is about: of this library's own, those of its network need no word for it. */
  private static String subject(String note) {
    return OF_NETWORKS.contains(note) ? "" : note.replaceFirst("^actclip\\.", "");
  }

  /** Of one that is JSON, what it says; any other is one text. */
  private static JsonNode note(String text) {
    boolean isObject = text.startsWith("{") && text.endsWith("}");
    try {
      return isObject ? Json.parse(text, "a note") : TextNode.valueOf(text);
    } catch (ActclipException e) {
      return TextNode.valueOf(text);
    }
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
