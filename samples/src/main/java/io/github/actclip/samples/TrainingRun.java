package io.github.actclip.samples;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.nn.models.Net;
import io.github.actclip.report.RunDirectory;
import io.github.actclip.report.RunSummary;
import io.github.actclip.report.StepLog;
import io.github.actclip.report.TensorBoardListener;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;

/** A training with all its listeners, and what it leaves in its folder. */
record TrainingRun(
    RunDirectory directory,
    Net net,
    TrainerOptions options,
    Device device,
    ImageDataset train,
    ImageDataset test) {

  /**
   * What goes on beside the steps.
   *
   * @param first those that hear of it before its results are written, and may end it early
   * @param remembering writes into the folder how it is listened to
   * @param checkpoints how often it can go on from
   * @param tensorBoard whether to write event files
   */
  record Listening(
      List<TrainingListener> first,
      Function<Path, TrainingListener> remembering,
      CheckpointOptions checkpoints,
      boolean tensorBoard) {}

  /** Whether a step was done. */
  private static final class Progress implements TrainingListener {

    private boolean hasBegun;

    @Override
    public void onStep(Training training) {
      hasBegun = true;
    }
  }

  /**
   * Trains, saves and prints.
   *
   * @param from where to go on, if it is not to begin
   */
  void run(Optional<Checkpoint> from, Listening listening) {
    RuntimeInfo environment = RuntimeInfo.current();
    TrainingListener recorder = directory.recorder(net, last -> summary(environment, last, true));
    Progress progress = new Progress();
    Trainer trainer;
    List<EpochMetrics> epochs;
    try (ProgressBarListener bar = new ProgressBarListener();
        StepLog steps = new StepLog(directory.folder());
        TensorBoardListener board =
            listening.tensorBoard() ? new TensorBoardListener(directory.folder()) : null;
        Checkpointer checkpointer =
            new Checkpointer(directory.checkpoints(), listening.checkpoints())) {
      // The checkpoint comes last: what it goes on from has been written then.
      List<TrainingListener> listeners = new ArrayList<>(List.of(progress));
      listeners.addAll(listening.first());
      listeners.add(listening.remembering().apply(directory.folder()));
      Stream.of(recorder, steps, board, bar, checkpointer)
          .filter(Objects::nonNull)
          .forEach(listeners::add);
      trainer = new Trainer(net, options, device, listeners);
      Interrupt.onSignal(trainer::stop);
      epochs =
          from.map(checkpoint -> trainer.resume(checkpoint::restore, train, test))
              .orElseGet(() -> trainer.fit(train, test));
    } catch (RuntimeException | Error e) {
      if (from.isEmpty() && !progress.hasBegun) {
        directory.discard(); // The command, when it is corrected, finds it as this one did.
      }
      throw e;
    }
    if (trainer.steps() == 0 && trainer.isStopped()) {
      Results.print("stopped", "before its first step; nothing was changed");
    } else if (!epochs.isEmpty()) {
      EpochMetrics last = epochs.get(epochs.size() - 1);
      RunSummary summary = summary(environment, last, trainer.isStopped());
      directory.finish(summary, epochs);
      print(summary);
    }
  }

  private RunSummary summary(RuntimeInfo environment, EpochMetrics last, boolean stopped) {
    return new RunSummary(
        train.source(),
        train.name(),
        train.size(),
        test.size(),
        device.str().getString(),
        net.options(),
        options,
        environment,
        stopped,
        last);
  }

  private void print(RunSummary summary) {
    EpochMetrics last = summary.last();
    if (summary.stopped()) {
      Results.print("stopped", "in epoch " + last.epoch() + ", after step " + last.step());
    }
    Results.printTest(last.testLoss(), last.testAccuracy(), summary.testImages());
    Results.print("act_max", last.actMax());
    Results.print("results", directory.folder());
    Results.print("report", directory.folder().resolve(RunDirectory.REPORT));
  }
}
