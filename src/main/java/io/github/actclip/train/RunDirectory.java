package io.github.actclip.train;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.runtime.Uninterrupted;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.logging.log4j.Logger;

/**
 * The folder with the results of one training: {@code metrics.jsonl} (one object an epoch), {@code
 * metrics.csv} (one line an epoch), {@code model.safetensors}, {@code summary.json} and {@code
 * report.html}. Every file is whole or absent at any time. Beside them {@link StepLog} and {@link
 * TensorBoardListener} write theirs.
 */
public final class RunDirectory {

  private static final String METRICS = "metrics.jsonl";
  private static final String TABLE = "metrics.csv";
  private static final String MODEL = "model.safetensors";
  private static final String SUMMARY = "summary.json";

  private static final String CHECKPOINTS = "checkpoints";

  /** The name of the page that shows the training. */
  public static final String REPORT = "report.html";

  private static final List<String> RESULTS =
      List.of(
          METRICS,
          TABLE,
          StepLog.FILE,
          TensorBoardListener.FOLDER,
          MODEL,
          SUMMARY,
          REPORT,
          CHECKPOINTS);

  private static final Logger LOG = Loggers.of(RunDirectory.class);

  private final Path folder;

  private RunDirectory(Path folder) {
    this.folder = folder;
  }

  /**
   * Makes the folder, and its parents, for a new training.
   *
   * @throws ActclipException when it already holds the results of one, or cannot be made
   */
  public static RunDirectory create(Path folder) {
    for (String file : RESULTS) {
      if (Files.exists(folder.resolve(file))) {
        throw alreadyUsed(folder, file);
      }
    }
    AtomicFile.createFolder(folder);
    Path first = folder.resolve(METRICS);
    try {
      Files.createFile(first); // Of two trainings at once, one gets the folder.
    } catch (FileAlreadyExistsException e) {
      throw alreadyUsed(folder, METRICS);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", first, AtomicFile.reason(e));
    }
    return new RunDirectory(folder);
  }

  private static ActclipException alreadyUsed(Path folder, String file) {
    return ActclipException.badInput(
        "%s already holds the results of a training (%s): name another folder", folder, file);
  }

  /**
   * Opens the folder of a training that is to go on.
   *
   * @throws ActclipException when it holds no checkpoints
   */
  public static RunDirectory resume(Path folder) {
    RunDirectory directory = new RunDirectory(folder);
    if (CheckpointFiles.in(directory.checkpoints()).isEmpty()) {
      throw ActclipException.badInput(
          "%s holds no checkpoint that a training could go on from", folder);
    }
    return directory;
  }

  /** The folder for a {@link Checkpointer}. */
  public Path checkpoints() {
    return folder.resolve(CHECKPOINTS);
  }

  /**
   * Opens the folder of a training that was saved.
   *
   * @throws ActclipException when it is not one
   */
  public static RunDirectory open(Path folder) {
    for (String file : List.of(SUMMARY, MODEL)) {
      if (!Files.isRegularFile(folder.resolve(file))) {
        throw ActclipException.badInput(
            "%s is not the folder of a training: it has no %s", folder, file);
      }
    }
    return new RunDirectory(folder);
  }

  /** Gives the folder back when neither a step nor a checkpoint was saved to it. */
  public void releaseIfEmpty() {
    if (!CheckpointFiles.in(checkpoints()).isEmpty()) {
      return;
    }
    for (String name : List.of(METRICS, StepLog.FILE)) {
      Path file = folder.resolve(name);
      try {
        if (Files.exists(file) && Files.size(file) == 0) {
          Files.delete(file);
        }
      } catch (IOException e) {
        throw ActclipException.failure(e, "%s cannot be removed: %s", file, AtomicFile.reason(e));
      }
    }
  }

  /** Where the files are. */
  public Path folder() {
    return folder;
  }

  /**
   * A listener that saves the metrics so far, the network and a summary after each epoch, so that a
   * training that is killed can be evaluated. What cannot be written, as on a full disk, is a
   * warning in the log.
   *
   * @param summarise makes a summary with that last epoch
   * @throws ActclipException when the network has an activation layer of its own
   */
  public TrainingListener recorder(Net net, Function<EpochMetrics, RunSummary> summarise) {
    if (!net.isDescribedByOptions()) {
      throw ActclipException.badInput(
          "this network clips by a layer of its own, which a summary cannot hold:"
              + " save its state dict instead");
    }
    return new TrainingListener() {
      @Override
      public void onEpoch(Training training, EpochMetrics metrics) {
        try {
          saveEpochs(net, training);
          saveSummary(summarise.apply(metrics));
        } catch (ActclipException e) {
          LOG.warn(
              "The results of epoch {} are not saved, and the training goes on: {}",
              metrics.epoch(),
              e.getMessage());
        }
      }
    };
  }

  private void saveEpochs(Net net, Training training) {
    List<EpochMetrics> epochs = training.epochs();
    StringBuilder lines = new StringBuilder();
    for (EpochMetrics epoch : epochs) {
      lines.append(Json.line(epoch)).append('\n');
    }
    AtomicFile.writeString(folder.resolve(METRICS), lines.toString());
    AtomicFile.writeString(folder.resolve(TABLE), Csv.table(epochs));
    Map<String, String> texts =
        new NetDescription(net.options(), training.options().normalization()).toMetadata();
    TensorScope.run(() -> StateDict.write(folder.resolve(MODEL), StateDict.of(net), texts));
  }

  /**
   * Saves what a training came to, as numbers and as a page.
   *
   * @throws ActclipException a failure when it cannot be written
   */
  public void finish(RunSummary summary, List<EpochMetrics> epochs) {
    saveSummary(summary);
    List<StepMetrics> steps = StepLog.read(folder);
    // An interrupt would be taken away by the JDK where it reads fonts.
    String page = Uninterrupted.call(() -> Report.html(summary, epochs, steps));
    AtomicFile.writeString(folder.resolve(REPORT), page);
  }

  private void saveSummary(RunSummary summary) {
    AtomicFile.writeString(folder.resolve(SUMMARY), Json.pretty(summary));
  }

  /**
   * Reads what was saved last.
   *
   * @throws ActclipException when the file is not a summary
   */
  public RunSummary loadSummary() {
    Path file = folder.resolve(SUMMARY);
    try {
      return Json.read(
          Files.readString(file), RunSummary.class, file + " is not a summary of a training");
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    }
  }

  /**
   * Reads the network that was saved last, onto the CPU; the caller owns it.
   *
   * @throws ActclipException when the file is not one of its shape
   */
  public Net loadNet() {
    RunSummary summary = loadSummary();
    return new NetDescription(summary.net(), summary.options().normalization())
        .load(folder.resolve(MODEL));
  }
}
