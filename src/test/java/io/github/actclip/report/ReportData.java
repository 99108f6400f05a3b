package io.github.actclip.report;

import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.PhaseSeconds;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.TrainerOptions;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What a training might have come to, without one. */
public record ReportData(RunSummary summary, List<EpochMetrics> epochs, List<StepMetrics> steps) {

  private static final int STEPS_AN_EPOCH = 63;

  /** With thresholds for each of so many channels, and for one. */
  public static ReportData of(int epochs, int channels) {
    List<EpochMetrics> metrics =
        IntStream.rangeClosed(1, epochs).mapToObj(ReportData::epoch).toList();
    List<StepMetrics> steps =
        LongStream.rangeClosed(1, (long) STEPS_AN_EPOCH * epochs)
            .mapToObj(step -> step(step, channels))
            .toList();
    return new ReportData(summary("images", metrics), metrics, steps);
  }

  public static RunSummary summary(String images, List<EpochMetrics> epochs) {
    return new RunSummary(
        "embedded",
        images,
        8000,
        2000,
        "cpu",
        NetOptions.original(),
        TrainerOptions.defaults(OptimizerType.SGD),
        new RuntimeInfo("1.2", "2.10.0", "17", "linux-x86_64", "AVX2", "none", 3, 1, "/home/ann"),
        false,
        epochs.get(epochs.size() - 1));
  }

  String html() {
    return Report.html(summary, epochs, steps);
  }

  private static EpochMetrics epoch(int epoch) {
    double left = 1.0 / epoch;
    return new EpochMetrics(
        epoch,
        (long) STEPS_AN_EPOCH * epoch,
        0.05 * left,
        left,
        1 - left / 2,
        left + 0.1,
        0.95 - left / 2,
        1 + left,
        0.05 * left,
        -left,
        4000,
        new PhaseSeconds(0.2, 0.6, 0.9, 0.1, 0.05),
        LongStream.rangeClosed(1, 20).map(bin -> 100_000 / bin).boxed().toList());
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
