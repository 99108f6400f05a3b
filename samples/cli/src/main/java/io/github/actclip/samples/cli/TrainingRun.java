package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Network;
import io.github.actclip.report.Run;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.util.ArrayList;
import java.util.Collection;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import org.bytedeco.pytorch.Device;

/** A training with all its listeners, and what it prints. */
record TrainingRun(
    Network network,
    ModelDescription description,
    TrainerOptions options,
    Device device,
    Dataset train,
    Dataset test) {

  /** From here on there is something that Ctrl-C could lose. */
  private static final class StopOnSignal implements TrainingListener {

    @Override
    public void onStart(Training training) {
      Interrupt.onSignal(training::stop);
    }
  }

  /**
   * Trains, saves and prints.
   *
   * @param watchers those that hear of it before its results are written, and may end it early
   */
  void start(Run run, List<TrainingListener> watchers) {
    Trainer trainer = new Trainer(network, options, device);
    description.notes().forEach(trainer::note);
    List<EpochMetrics> epochs;
    try (run;
        ProgressBarListener bar = new ProgressBarListener()) {
      List<TrainingListener> listeners = new ArrayList<>(List.of(new StopOnSignal()));
      listeners.addAll(watchers);
      listeners.add(bar);
      listeners.add(run); // last: what its checkpoints go on from has been written then
      trainer.with(listeners.toArray(TrainingListener[]::new));
      epochs = trainer.fit(description.training(train), description.testing(test));
    }
    if (trainer.steps() == 0 && trainer.isStopped()) {
      Results.print("stopped", "before its first step; nothing was changed");
    } else if (!epochs.isEmpty()) {
      print(run, epochs.get(epochs.size() - 1), trainer.isStopped());
    }
  }

  private void print(Run run, EpochMetrics last, boolean stopped) {
    if (stopped) {
      Results.print("stopped", "in epoch " + last.epoch() + ", after step " + last.step());
    }
    Results.printTest(last.testLoss(), last.test().get("accuracy"), test.size());
    printThresholds(last.thresholds().values());
    Results.print("results", run.folder());
    Results.print("report", run.folder().resolve(Run.REPORT));
  }

  private static void printThresholds(Collection<ActivationStatistics> seen) {
    DoubleSummaryStatistics all =
        seen.stream().mapToDouble(ActivationStatistics::threshold).summaryStatistics();
    if (all.getCount() == 1) {
      Results.print("act_max", all.getMax());
    } else if (all.getCount() > 1) {
      Results.print(
          "thresholds",
          String.format(
              Locale.ROOT, "%d, from %.4g to %.4g", all.getCount(), all.getMin(), all.getMax()));
    }
  }
}
