package io.github.actclip.samples;

import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.ProgressMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** Shows a training on standard error. */
final class ProgressBarListener implements TrainingListener, AutoCloseable {

  private static final int TERMINAL_MILLIS = 250;
  private static final int LOG_MILLIS = 5_000;
  private static final int LOG_WIDTH = 120;

  private final ProgressBar bar;

  ProgressBarListener() {
    ProgressBarBuilder builder =
        new ProgressBarBuilder().setTaskName("train").setStyle(ProgressBarStyle.ASCII);
    if (System.console() == null) { // Into a file or a pipe: seldom, and as wide as it takes.
      builder.setUpdateIntervalMillis(LOG_MILLIS).setMaxRenderedLength(LOG_WIDTH);
    } else {
      builder.setUpdateIntervalMillis(TERMINAL_MILLIS);
    }
    bar = builder.build();
  }

  @Override
  public void onStart(Training training) {
    bar.maxHint(training.totalSteps());
    bar.stepTo(training.step());
  }

  @Override
  public void onProgress(ProgressMetrics m) {
    bar.stepTo(m.step());
    bar.setExtraMessage(
        text(
            "epoch %d: loss %.4f, acc %.1f %%, act_max %.4f, %,.0f img/s",
            m.epoch(), m.loss(), 100 * m.accuracy(), m.actMax(), m.imagesPerSecond()));
  }

  @Override
  public void onEpoch(Training training, EpochMetrics m) {
    bar.stepTo(m.step());
    bar.setExtraMessage(
        text(
            "epoch %d test: loss %.4f, acc %.1f %%, act_max %.4f, %,.0f img/s",
            m.epoch(), m.testLoss(), 100 * m.testAccuracy(), m.actMax(), m.imagesPerSecond()));
  }

  private static String text(String format, Object... args) {
    return " " + String.format(Locale.ROOT, format, args);
  }

  @Override
  public void close() {
    bar.close();
  }
}
