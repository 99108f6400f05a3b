package io.github.actclip.samples.cli;

import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.PropertiesDefaultProvider;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Spec.Target;

/** Options of a training that is interrupted and goes on. */
final class CheckpointMixin {

  private static final Logger LOG = LogManager.getLogger(CheckpointMixin.class);

  private static final double MILLIS_PER_MINUTE = 60_000;

  /** What is no part of how the network is trained, and so may be said anew. */
  private static final Set<String> BESIDE =
      Set.of(
          "--checkpoint-every",
          "--checkpoint-minutes",
          "--keep-checkpoints",
          "--threshold-watch",
          "--early-stopping",
          "--tensorboard");

  /**
   * What is only of one stretch of a training, or of one machine; the epochs are in checkpoints.
   */
  private static final Set<String> ANEW =
      Set.of("--resume", "--data", "--epochs", "--stop-after-epoch", "--device", "--threads");

  /** Where a training's folder has them. */
  private static final int DASHES = 2;

  @Option(
      names = "--resume",
      paramLabel = "DIR",
      description =
          "Goes on with the training of that folder, from its newest checkpoint, with the options"
              + " that it began with. How many epochs, how often to write checkpoints, who watches,"
              + " and when to stop early may be said anew.")
  private Path resume;

  @Option(
      names = "--stop-after-epoch",
      paramLabel = "N",
      description = "Stops after that epoch as Ctrl-C would; --resume goes on.")
  private Integer stopAfterEpoch;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "N",
      description = "Steps from one checkpoint to the next (default: only by time).")
  private Long everySteps;

  @Option(
      names = "--checkpoint-minutes",
      paramLabel = "M",
      description = "Minutes from one checkpoint to the next (default: 10).")
  private Double everyMinutes;

  @Option(
      names = "--keep-checkpoints",
      paramLabel = "K",
      description = "How many of the newest checkpoints are kept (default: 3).")
  private Integer keep;

  @Spec(Target.MIXEE)
  private CommandSpec command;

  /** By option: what the commands before were given, and in the end this one. */
  private final Properties said = new Properties();

  /** The folder to go on with, or null for a new training. */
  Path resume() {
    if (resume != null) {
      requireNothingElse();
    }
    return resume;
  }

  private void requireNothingElse() {
    String others =
        command.commandLine().getParseResult().matchedOptions().stream()
            .map(OptionSpec::longestName)
            .filter(name -> !ANEW.contains(name) && !BESIDE.contains(name))
            .collect(Collectors.joining(", "));
    if (!others.isEmpty()) {
      throw ActclipException.badInput(
          "--resume goes on with the options that the training began with: leave out %s", others);
    }
  }

  /** Writes down what {@link #recall} reads, when the training begins or goes on. */
  TrainingListener remembering(Run run) {
    return new TrainingListener() {
      @Override
      public void onStart(Training training) {
        try {
          remember(run.folder());
        } catch (ActclipException e) {
          LOG.warn("How this training is watched is not remembered: {}", e.getMessage());
        }
      }
    };
  }

  /** What was said before stays, but for what is said now. */
  void remember(Path folder) {
    for (OptionSpec option : command.commandLine().getParseResult().matchedOptions()) {
      if (BESIDE.contains(option.longestName())) {
        List<String> given = option.originalStringValues();
        String value = given.isEmpty() ? "true" : given.get(0);
        said.setProperty(option.longestName().substring(DASHES), value);
      }
    }
    StringBuilder lines = new StringBuilder();
    new TreeMap<>(said)
        .forEach((name, value) -> lines.append(name).append('=').append(value).append('\n'));
    AtomicFile.writeString(folder.resolve(Run.LISTENERS), lines.toString());
  }

  /** Takes what the training that began in the folder was given and this command was not. */
  void recall(Path folder) {
    Path file = folder.resolve(Run.LISTENERS);
    if (Files.exists(file)) {
      try (Reader in = Files.newBufferedReader(file)) {
        said.load(in);
      } catch (IOException e) {
        throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
      }
    }
    CommandLine all = command.root().commandLine();
    all.setDefaultValueProvider(new PropertiesDefaultProvider(said));
    all.parseArgs(all.getParseResult().originalArgs().toArray(String[]::new));
  }

  CheckpointOptions options() {
    CheckpointOptions defaults = CheckpointOptions.defaults();
    return new CheckpointOptions(
        everySteps == null ? defaults.everySteps() : everySteps,
        everyMinutes == null
            ? defaults.every()
            : Duration.ofMillis((long) (everyMinutes * MILLIS_PER_MINUTE)),
        keep == null ? defaults.keep() : keep);
  }

  /** Stops a training after the epoch that was asked for, if one was. */
  TrainingListener stopper() {
    if (stopAfterEpoch != null && stopAfterEpoch < 1) {
      throw ActclipException.badInput("--stop-after-epoch (%d) must be at least 1", stopAfterEpoch);
    }
    return new TrainingListener() {
      @Override
      public void onStart(Training training) {
        stopWhenDue(training);
      }

      @Override
      public void onEpoch(Training training, EpochMetrics metrics) {
        stopWhenDue(training);
      }
    };
  }

  private void stopWhenDue(Training training) {
    if (stopAfterEpoch != null && training.epoch() >= stopAfterEpoch) {
      training.stop();
    }
  }
}
