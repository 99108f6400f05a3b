package io.github.actclip.report;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.checkpoint.OldFormats;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.Json;
import io.github.actclip.io.LockedFile;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.runtime.Uninterrupted;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.apache.logging.log4j.Logger;

/**
 * The folder with the results of one training: {@code metrics.jsonl} (one object an epoch), {@code
 * metrics.csv} (one line an epoch), {@code model.safetensors}, {@code summary.json} and {@code
 * report.html}. Every file is whole or absent at any time. Beside them {@link StepLog} and {@link
 * TensorBoardListener} write theirs.
 */
public final class RunDirectory implements Closeable {

  /** The name of the page that shows the training. */
  public static final String REPORT = "report.html";

  /** The name of a file in which whoever begins a training may note how it is watched. */
  public static final String LISTENERS = "listeners.properties";

  private static final Logger LOG = Loggers.of(RunDirectory.class);

  private static final Closeable NOTHING = () -> {};

  private final Path folder;

  /** Whether it is there since this was made, and not a user's own, or a link of theirs. */
  private final boolean isNew;

  /** What keeps others away until there is a result. */
  private Closeable claim;

  /** Why the results of the last epoch are not there, if they are not. */
  private Optional<ActclipException> unsaved = Optional.empty();

  private RunDirectory(Path folder, boolean isNew, Closeable claim) {
    this.folder = folder;
    this.isNew = isNew;
    this.claim = claim;
  }

  /**
   * Makes the folder, and its parents, for a new training. A folder is taken, too, in which an
   * earlier start left nothing but empty files.
   *
   * @throws ActclipException when it already holds the results of one, or cannot be made
   */
  public static RunDirectory create(Path folder) {
    RunFiles.requireUnused(folder);
    boolean isNew = Files.notExists(folder);
    AtomicFile.createFolder(folder);
    return claim(folder, isNew);
  }

  private static RunDirectory claim(Path folder, boolean isNew) {
    Path first = folder.resolve(RunFiles.METRICS);
    try {
      LockedFile claim =
          LockedFile.open(first) // Of two trainings at once, one gets the folder.
              .orElseThrow(() -> RunFiles.alreadyUsed(folder, RunFiles.METRICS));
      try {
        RunFiles.requireUnused(folder); // The other one may have ended by now.
      } catch (ActclipException e) {
        claim.close();
        throw e;
      }
      return new RunDirectory(folder, isNew, claim);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", first, AtomicFile.reason(e));
    }
  }

  /**
   * Makes a folder that is not there, and its parents, for a new training: with {@code -2}, {@code
   * -3} and so on after its name where the name is taken, also by one that begins at this moment.
   *
   * @throws ActclipException a failure when it cannot be made
   */
  public static RunDirectory createNew(Path folder) {
    return claim(AtomicFile.createNewFolder(folder), true);
  }

  /**
   * Opens the folder of a training that is to go on.
   *
   * @throws ActclipException when it holds no checkpoints
   */
  public static RunDirectory resume(Path folder) {
    RunDirectory directory = new RunDirectory(folder, false, NOTHING);
    if (!Checkpoint.isIn(directory.checkpoints())) {
      throw ActclipException.badInput(
          "%s holds no checkpoint that a training could go on from", folder);
    }
    return directory;
  }

  /** The folder for a {@link Checkpointer}. */
  public Path checkpoints() {
    return folder.resolve(RunFiles.CHECKPOINTS);
  }

  /**
   * Opens the folder of a training that was saved.
   *
   * @throws ActclipException when it is not one
   */
  public static RunDirectory open(Path folder) {
    for (String file : List.of(RunFiles.SUMMARY, RunFiles.MODEL)) {
      if (!Files.isRegularFile(folder.resolve(file))) {
        throw ActclipException.badInput(
            "%s is not the folder of a training: it has no %s", folder, file);
      }
    }
    return new RunDirectory(folder, false, NOTHING);
  }

  /**
   * Deletes what a training that failed before the end of its first step has left: the folder can
   * be used again. For one that {@link #create} made, when its listeners are closed. A folder that
   * was there before stays.
   *
   * @throws ActclipException a failure when something cannot be deleted
   */
  public void discard() {
    close();
    RunFiles.delete(folder, isNew);
  }

  /** Lets others have the folder, as long as there is no result in it. */
  @Override
  public void close() {
    try {
      claim.close();
    } catch (IOException e) {
      LOG.warn("{} cannot be closed: {}", folder.resolve(RunFiles.METRICS), AtomicFile.reason(e));
    }
    claim = NOTHING;
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
          unsaved = Optional.empty();
        } catch (ActclipException e) {
          unsaved = Optional.of(e);
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
    close(); // Windows replaces no file that is open.
    AtomicFile.writeString(folder.resolve(RunFiles.METRICS), lines.toString());
    AtomicFile.writeString(folder.resolve(RunFiles.TABLE), Csv.table(epochs));
    Map<String, String> texts =
        new NetDescription(net.options(), training.options().normalization()).toMetadata();
    TensorScope.run(
        () -> StateDict.write(folder.resolve(RunFiles.MODEL), StateDict.of(net), texts));
  }

  /**
   * Saves what a training came to, as numbers and as a page.
   *
   * @throws ActclipException a failure when it cannot be written, or when the {@link #recorder}
   *     could not write the network of the last epoch
   */
  public void finish(RunSummary summary, List<EpochMetrics> epochs) {
    saveSummary(summary);
    List<StepMetrics> steps = StepLog.read(folder);
    // An interrupt would be taken away by the JDK where it reads fonts.
    String page = Uninterrupted.call(() -> Report.html(summary, epochs, steps));
    AtomicFile.writeString(folder.resolve(REPORT), page);
    unsaved.ifPresent(
        reason -> {
          throw reason;
        });
  }

  private void saveSummary(RunSummary summary) {
    AtomicFile.writeString(folder.resolve(RunFiles.SUMMARY), Json.pretty(summary));
  }

  /**
   * Reads what was saved last.
   *
   * @throws ActclipException when the file is not a summary
   */
  public RunSummary loadSummary() {
    Path file = folder.resolve(RunFiles.SUMMARY);
    try {
      String what = file + " is not a summary of a training";
      JsonNode summary = Json.parse(Files.readString(file), what);
      OldFormats.upgradeOptions(summary.path("options"));
      return Json.read(summary, RunSummary.class, what);
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
        .load(folder.resolve(RunFiles.MODEL));
  }
}
