package io.github.actclip.samples.cli;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.ProgressMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** Shows a training on standard error. */
final class ProgressBarListener implements TrainingListener, AutoCloseable {

  private static final int TERMINAL_MILLIS = 250;
  private static final int LOG_MILLIS = 5_000;
  private static final int LOG_WIDTH = 120;

  /** Empty until the training begins: what is refused before shows none. */
  private Optional<ProgressBar> shown = Optional.empty();

  private static ProgressBar build() {
    ProgressBarBuilder builder =
        new ProgressBarBuilder().setTaskName("train").setStyle(ProgressBarStyle.ASCII);
    if (System.console() == null) { // Into a file or a pipe: seldom, and as wide as it takes.
      builder.setUpdateIntervalMillis(LOG_MILLIS).setMaxRenderedLength(LOG_WIDTH);
    } else {
      builder.setUpdateIntervalMillis(TERMINAL_MILLIS);
    }
    return builder.build();
  }

  @Override
  public void onStart(Training training) {
    ProgressBar bar = build();
    shown = Optional.of(bar);
    bar.maxHint(training.totalSteps());
    bar.stepTo(training.step());
  }

  @Override
  public void onProgress(ProgressMetrics m) {
    String state = state(m.metrics(), m.thresholds().values().stream());
    show(m.step(), text("epoch %d: %s, %,.0f img/s", m.epoch(), state, m.samplesPerSecond()));
  }

  @Override
  public void onEpoch(Training training, EpochMetrics m) {
    String state =
        state(m.test(), m.thresholds().values().stream().map(ActivationStatistics::threshold));
    show(m.step(), text("epoch %d test: %s, %,.0f img/s", m.epoch(), state, m.samplesPerSecond()));
  }

  /** Of the thresholds the first is shown, if there is one. */
  private static String state(Map<String, Double> metrics, Stream<Double> thresholds) {
    return String.format(
            Locale.ROOT,
            "loss %.4f, acc %.1f %%",
            metrics.get("loss"),
            100 * metrics.get("accuracy"))
        + thresholds
            .findFirst()
            .map(first -> String.format(Locale.ROOT, ", act_max %.4f", first))
            .orElse("");
  }

  private void show(long step, String message) {
    shown.ifPresent(bar -> bar.stepTo(step).setExtraMessage(message));
  }

  private static String text(String format, Object... args) {
    return " " + String.format(Locale.ROOT, format, args);
  }

  @Override
  public void close() {
    shown.ifPresent(ProgressBar::close);
  }
}
