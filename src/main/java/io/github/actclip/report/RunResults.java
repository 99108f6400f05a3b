package io.github.actclip.report;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.runtime.Uninterrupted;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.Training;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.logging.log4j.Logger;

/** Writes into a folder what a training came to: numbers, the network, a page. */
final class RunResults {

  private static final Logger LOG = Loggers.of(RunResults.class);

  private static final long NANOS_BETWEEN_SAVES = 1_000_000_000;

  private final Path folder;
  private final RuntimeInfo environment = RuntimeInfo.current();

  /** Whether epochs were tested since the results were saved. */
  private boolean isPending;

  private long nextSave = System.nanoTime();

  /** Why the results of the last epoch are not there, if they are not. */
  private Optional<ActclipException> unsaved = Optional.empty();

  /** What is noted with the network beside the training's notes. */
  private final String preprocessing;

  RunResults(Path folder, Training training) {
    this.folder = folder;
    preprocessing = Json.line(training.testData().preprocessing());
  }

  /** Whether all that is to be written of a training is there. */
  boolean areAllOf(Training training) {
    if (!training.isComplete() || Files.notExists(folder.resolve(RunFiles.SUMMARY))) {
      return false;
    }
    if (Files.notExists(folder.resolve(RunFiles.MODEL))
        || Files.notExists(folder.resolve(RunFiles.REPORT))) {
      return false;
    }
    RunSummary summary = RunSummary.read(folder);
    return !summary.stopped() && summary.last().step() == training.step();
  }

  /**
   * After an epoch, so that a training that is killed can be evaluated; but not after each of many
   * short ones, since a disk takes longer to write them.
   */
  void saveNowAndThen(Training training) {
    isPending = true;
    if (System.nanoTime() - nextSave >= 0) {
      save(training);
    }
  }

  private void save(Training training) {
    isPending = false;
    try {
      saveEpochs(training);
      saveSummary(RunSummary.of(training, environment, true, ConfusionMatrix.NONE));
      unsaved = Optional.empty();
    } catch (ActclipException e) {
      unsaved = Optional.of(e);
      LOG.warn(
          "The results after step {} are not saved, and the training goes on: {}",
          training.step(),
          e.getMessage());
    }
    nextSave = System.nanoTime() + NANOS_BETWEEN_SAVES;
  }

  private void saveEpochs(Training training) {
    List<EpochMetrics> epochs = training.epochs();
    StringBuilder lines = new StringBuilder();
    for (EpochMetrics epoch : epochs) {
      lines.append(Json.line(epoch)).append('\n');
    }
    AtomicFile.writeString(folder.resolve(RunFiles.METRICS), lines.toString());
    AtomicFile.writeString(folder.resolve(RunFiles.TABLE), Csv.table(epochs));
    Map<String, String> texts = new LinkedHashMap<>(training.notes());
    texts.put(Preprocessing.NOTE, preprocessing);
    Path model = folder.resolve(RunFiles.MODEL);
    TensorScope.run(() -> StateDict.write(model, StateDict.of(training.network()), texts));
  }

  /**
   * At the end, the summary last: where that says that the training was not stopped, all is there.
   *
   * @throws ActclipException a failure when it cannot be written, or when the results of the last
   *     epoch could not
   */
  void finish(Training training) {
    if (isPending) {
      save(training);
    }
    List<StepMetrics> steps = StepLog.read(folder);
    ConfusionMatrix confusion =
        ConfusionMatrix.of(training.network(), training.testData(), training.device());
    RunSummary summary = RunSummary.of(training, environment, !training.isComplete(), confusion);
    // An interrupt would be taken away by the JDK where it reads fonts.
    String page = Uninterrupted.call(() -> Report.html(summary, training.epochs(), steps));
    AtomicFile.writeString(folder.resolve(RunFiles.REPORT), page);
    unsaved.ifPresent(
        reason -> {
          throw reason;
        });
    saveSummary(summary);
  }

  private void saveSummary(RunSummary summary) {
    AtomicFile.writeString(folder.resolve(RunFiles.SUMMARY), Json.pretty(summary));
  }
}
