package io.github.actclip.report;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.Closeable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A training in a folder, which goes on by itself after a break:
 *
 * <pre>{@code
 * try (Run run = Run.in(Path.of("runs/mine"))) {
 *   new Trainer(network, options).with(run).fit(train, test);
 * }
 * }</pre>
 *
 * <p>The folder gets {@code checkpoints}, {@code steps.jsonl} (see {@link StepLog}), {@code
 * metrics.jsonl} (one object an epoch), {@code metrics.csv} (one line an epoch), {@code
 * model.safetensors} (the network, with the training's notes, and how its test data was made, for a
 * {@code Predictor}), {@code summary.json} ({@link RunSummary}) and in the end {@code report.html},
 * a page. All but the steps are whole or absent at any time. What cannot be written, as on a full
 * disk, is a warning in the log while the training goes on.
 *
 * <p>Where the folder holds checkpoints, the training goes on from the newest, on the CPU to the
 * same bits as without a break; the trainer is given the same network, options and data, and may be
 * given more epochs. One that is complete is left as it is. With any other training it is refused.
 *
 * <p>Give it to the trainer as the last of the listeners that write. It is for one training; close
 * it when that has ended. A training that fails before the end of its first step leaves nothing.
 */
public final class Run implements TrainingListener, Closeable {

  /** The name of the page that shows the training. */
  public static final String REPORT = RunFiles.REPORT;

  /** The name of the file with the network. */
  public static final String MODEL = RunFiles.MODEL;

  /** The name of the folder with checkpoints. */
  public static final String CHECKPOINTS = RunFiles.CHECKPOINTS;

  /**
   * The name of a file in which whoever begins a training may keep a network of TorchScript, which
   * the weights alone do not make.
   */
  public static final String MODULE = RunFiles.MODULE;

  /** The name of a file in which whoever begins a training may note how it is watched. */
  public static final String LISTENERS = RunFiles.LISTENERS;

  /** Which trainings a folder is for. */
  private enum Kind {
    ANY,
    NEW,
    NEW_NAME
  }

  private Path folder;
  private final Kind kind;
  private CheckpointOptions checkpointOptions = CheckpointOptions.defaults();
  private boolean tensorBoard;

  private final List<TrainingListener> parts = new ArrayList<>();
  private final List<Runnable> closing = new ArrayList<>();
  private RunResults results;

  /** Whether the folder is there since this made it, and not a user's own, or a link of theirs. */
  private boolean madeFolder;

  /** Whether what is in the folder is nothing yet that a training could go on from. */
  private boolean isEmpty;

  private boolean begun;
  private long begunAt;

  private Run(Path folder, Kind kind) {
    this.folder = folder;
    this.kind = kind;
  }

  /** For the training that begins, or goes on, in a folder. It is made when the training begins. */
  public static Run in(Path folder) {
    return new Run(folder, Kind.ANY);
  }

  /**
   * For a new training: a folder that holds the results of one is refused. A folder is taken in
   * which an earlier start left nothing but empty files.
   */
  public static Run create(Path folder) {
    return new Run(folder, Kind.NEW);
  }

  /**
   * For a new training in a folder that is not there: with {@code -2}, {@code -3} and so on after
   * its name where the name is taken, also by one that begins at this moment.
   */
  public static Run createNew(Path folder) {
    return new Run(folder, Kind.NEW_NAME);
  }

  /**
   * The newest checkpoint of a training's folder.
   *
   * @throws ActclipException bad input when it holds none; a failure when none of them is whole
   */
  public static Checkpoint newest(Path folder) {
    Path checkpoints = folder.resolve(RunFiles.CHECKPOINTS);
    if (!Checkpoint.isIn(checkpoints)) {
      throw ActclipException.badInput(
          "%s holds no checkpoint that a training could go on from", folder);
    }
    return Checkpoint.newest(checkpoints)
        .orElseThrow(
            () -> ActclipException.failure(null, "none of the checkpoints of %s is whole", folder));
  }

  /** Says how often to write checkpoints, and how many to keep; by default as that class has it. */
  public Run checkpoints(CheckpointOptions options) {
    checkpointOptions = options;
    return this;
  }

  /** Writes event files for TensorBoard, too: see {@link TensorBoardListener}. */
  public Run tensorBoard() {
    tensorBoard = true;
    return this;
  }

  /** Where the files are; the name that {@link #createNew} found, once the training has begun. */
  public Path folder() {
    return folder;
  }

  /**
   * Takes the folder, and goes on from the newest checkpoint if there is one.
   *
   * @throws ActclipException bad input when it holds another training, or when another process
   *     trains in it
   */
  @Override
  public void onPrepare(Training training) {
    if (begun) {
      throw ActclipException.badInput(
          "a training in %s has begun by this Run: make another one, and another Trainer, for the"
              + " next",
          folder);
    }
    begun = true;
    Checkpointer checkpointer = take();
    results = new RunResults(folder, training);
    if (!isEmpty && !training.isResumed()) {
      newest(folder).restore(training);
    }
    if (!results.areAllOf(training)) {
      addParts(checkpointer);
    }
    parts.forEach(part -> part.onPrepare(training));
  }

  /** Of two trainings at once, one gets the folder: that which has locked its checkpoints. */
  private Checkpointer take() {
    if (kind == Kind.NEW_NAME) {
      folder = AtomicFile.createNewFolder(folder);
      madeFolder = true;
    } else {
      madeFolder = Files.notExists(folder);
      isUnused();
    }
    Checkpointer checkpointer =
        new Checkpointer(folder.resolve(RunFiles.CHECKPOINTS), checkpointOptions);
    closing.add(checkpointer::close);
    isEmpty = isUnused(); // The other one may have ended by now.
    return checkpointer;
  }

  /** Whether a training is to begin in it; refuses a folder in which none can begin or go on. */
  private boolean isUnused() {
    if (kind == Kind.ANY && Checkpoint.isIn(folder.resolve(RunFiles.CHECKPOINTS))) {
      return false;
    }
    RunFiles.requireUnused(folder);
    return true;
  }

  private void addParts(Checkpointer checkpointer) {
    StepLog steps = new StepLog(folder);
    parts.add(steps);
    closing.add(steps::close);
    if (tensorBoard) {
      TensorBoardListener board = new TensorBoardListener(folder);
      parts.add(board);
      closing.add(board::close);
    }
    parts.add(checkpointer); // It comes last: what it goes on from has been written then.
  }

  @Override
  public void onStart(Training training) {
    begunAt = training.step();
    parts.forEach(part -> part.onStart(training));
  }

  @Override
  public void onStep(Training training) {
    isEmpty = false;
    parts.forEach(part -> part.onStep(training));
  }

  @Override
  public void onEpoch(Training training, EpochMetrics metrics) {
    results.saveNowAndThen(training);
    parts.forEach(part -> part.onEpoch(training, metrics));
  }

  /**
   * Writes the summary and the page.
   *
   * @throws ActclipException a failure when they, or the network of the last epoch, could not be
   *     written
   */
  @Override
  public void onEnd(Training training) {
    isEmpty = false;
    parts.forEach(part -> part.onEnd(training));
    boolean changed = training.step() > begunAt || training.isComplete();
    if (changed && !parts.isEmpty() && !training.epochs().isEmpty()) {
      results.finish(training);
    }
  }

  /**
   * Lets others have the folder. What a training that failed before the end of its first step has
   * left there is deleted; a folder that was there before stays.
   *
   * @throws ActclipException a failure when something cannot be deleted
   */
  @Override
  public void close() {
    boolean discards = isEmpty && !closing.isEmpty();
    closing.forEach(Runnable::run);
    closing.clear();
    parts.clear();
    if (discards) {
      RunFiles.delete(folder, madeFolder);
    }
  }
}
