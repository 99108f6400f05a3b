package io.github.actclip.report;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.PhaseSeconds;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.TrainerOptions;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What a training might have come to, without one. */
public record ReportData(RunSummary summary, List<EpochMetrics> epochs, List<StepMetrics> steps) {

  private static final int STEPS_AN_EPOCH = 63;

  /** With thresholds for each of so many channels, and for one; only that is a layer's first. */
  public static ReportData of(int epochs, int channels) {
    return of(epochs, List.of("accuracy"), List.of("act_max"), step -> step(step, channels));
  }

  /** Of a network with so many layers that clip. */
  static ReportData ofLayers(int epochs, int layers) {
    List<String> names =
        IntStream.range(0, layers)
            .mapToObj(i -> "layer" + i / 4 + "." + i % 4 + ".clip.max")
            .toList();
    return of(epochs, List.of("accuracy", "top5_accuracy"), names, step -> step(step, names));
  }

  /** Of a network that gives numbers, and clips nowhere. */
  static ReportData ofRegression(int epochs) {
    return of(epochs, List.of("mae"), List.of(), step -> step(step, List.of()));
  }

  private static ReportData of(
      int epochs, List<String> metrics, List<String> layers, LongFunction<StepMetrics> steps) {
    List<EpochMetrics> all =
        IntStream.rangeClosed(1, epochs).mapToObj(i -> epoch(i, metrics, layers)).toList();
    return new ReportData(
        summary("images", all),
        all,
        LongStream.rangeClosed(1, (long) STEPS_AN_EPOCH * epochs).mapToObj(steps).toList());
  }

  public static RunSummary summary(String data, List<EpochMetrics> epochs) {
    return new RunSummary(
        "embedded",
        data,
        8000,
        2000,
        "cpu",
        "Net",
        "cross-entropy, nats",
        Map.of("actclip.net", NetOptions.original().toJson(), "about", "a first try"),
        TrainerOptions.defaults(OptimizerType.SGD),
        new RuntimeInfo("1.2", "2.10.0", "17", "linux-x86_64", "AVX2", "none", 3, 1, "/home/ann"),
        false,
        epochs.get(epochs.size() - 1),
        confusion(epochs.get(0).test().containsKey("accuracy") ? 10 : 0));
  }

  /** Class i is taken for j the less often the farther they are apart. */
  private static ConfusionMatrix confusion(int classes) {
    return new ConfusionMatrix(
        IntStream.range(0, classes).mapToObj(i -> "class " + i).toList(),
        IntStream.range(0, classes)
            .mapToObj(
                i ->
                    IntStream.range(0, classes)
                        .mapToObj(j -> i == j ? 150L : Math.max(0L, 12 - i - 3L * Math.abs(i - j)))
                        .toList())
            .toList());
  }

  String html() {
    return Report.html(summary, epochs, steps);
  }

  private static EpochMetrics epoch(int epoch, List<String> metrics, List<String> layers) {
    double left = 1.0 / epoch;
    Map<String, Double> train = new LinkedHashMap<>(Map.of("loss", left));
    Map<String, Double> test = new LinkedHashMap<>(Map.of("loss", left + 0.1));
    metrics.forEach(name -> train.put(name, 1 - left / 2));
    metrics.forEach(name -> test.put(name, 0.95 - left / 2));
    Map<String, ActivationStatistics> thresholds = new LinkedHashMap<>();
    for (int i = 0; i < layers.size(); i++) {
      List<Long> bins = LongStream.rangeClosed(1, 20).map(bin -> 100_000 / bin).boxed().toList();
      thresholds.put(
          layers.get(i),
          new ActivationStatistics(1 + left * (1 + Math.sin(i)), -left, 0.05 * left, bins));
    }
    return new EpochMetrics(
        epoch,
        (long) STEPS_AN_EPOCH * epoch,
        0.05 * left,
        train,
        test,
        thresholds,
        4000,
        new PhaseSeconds(0.2, 0.6, 0.9, 0.1, 0.05));
  }

  private static StepMetrics step(long step, List<String> names) {
    Map<String, List<Double>> values = new LinkedHashMap<>();
    names.forEach(name -> values.put(name, List.of(1 + Math.sin(step / 50.0))));
    return new StepMetrics(step, 0.05 / step, 2.0 / step, values, values);
  }

  public static StepMetrics step(long step, int channels) {
    Map<String, List<Double>> values = new TreeMap<>();
    values.put("act_max", List.of(1 + Math.sin(step / 50.0)));
    values.put(
        "conv.scale",
        IntStream.range(0, channels).mapToObj(i -> Math.sin(step / 30.0 + i) + i / 9.0).toList());
    return new StepMetrics(step, 0.05 / step, 2.0 / step, values, values);
  }

  /** The same with one number in the place of every loss, threshold and gradient. */
  public ReportData with(double number) {
    List<StepMetrics> changed =
        steps.stream()
            .map(
                s ->
                    new StepMetrics(
                        s.step(),
                        number,
                        number,
                        same(s.thresholds(), number),
                        same(s.gradients(), number)))
            .toList();
    return new ReportData(summary, epochs, changed);
  }

  private static Map<String, List<Double>> same(Map<String, List<Double>> of, double number) {
    Map<String, List<Double>> changed = new TreeMap<>();
    of.forEach((name, values) -> changed.put(name, Collections.nCopies(values.size(), number)));
    return changed;
  }
}
