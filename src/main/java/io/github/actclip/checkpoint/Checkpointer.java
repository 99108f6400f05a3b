package io.github.actclip.checkpoint;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.LockedFile;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.LongStream;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.TensorVector;

/**
 * Writes a {@link Checkpoint} of a training when it begins and ends or is stopped, and now and then
 * in between, and deletes all but the newest. Each is written beside its name, flushed to the disk
 * and renamed, so that from the start on there is always a whole one.
 *
 * <p>The folder is for one training. Where that goes on from an older checkpoint than the newest,
 * those of later steps are moved to the folder {@code abandoned} within it; nothing of theirs is
 * lost.
 *
 * <p>One that cannot be written, as on a full disk, is a warning in the log, and the training goes
 * on. Parameters that are not finite are not written: a newest checkpoint is a good one.
 *
 * <p>Give it to the {@link Trainer} as the last of the listeners that write: what goes on from a
 * checkpoint finds what the others wrote before it.
 */
public final class Checkpointer implements TrainingListener, AutoCloseable {

  private static final Logger LOG = Loggers.of(Checkpointer.class);
  private static final long NONE = -1;
  private static final String LOCK = ".lock";

  private final Path folder;
  private final CheckpointOptions options;
  private long lastStep = NONE;
  private long lastTime;
  private final LockedFile lock;

  /**
   * For one training. Makes the folder, and locks it until this is closed.
   *
   * @throws ActclipException bad input when another training has it; a failure when it cannot be
   *     made
   */
  public Checkpointer(Path folder, CheckpointOptions options) {
    this.folder = folder;
    this.options = options;
    AtomicFile.createFolder(folder);
    lock = lock(folder);
    if (!lock.isLocked()) {
      LOG.warn(
          "The file system of {} has no locks: see to it that no other training writes there",
          folder);
    }
  }

  private static LockedFile lock(Path folder) {
    Path file = folder.resolve(LOCK);
    try {
      return LockedFile.open(file)
          .orElseThrow(
              () ->
                  ActclipException.badInput(
                      "another training is writing its checkpoints to %s: wait for its end",
                      folder));
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", file, AtomicFile.reason(e));
    }
  }

  /**
   * Refuses a folder that holds another training's checkpoints.
   *
   * @throws ActclipException bad input then
   */
  @Override
  public void onPrepare(Training training) {
    CheckpointFiles.another(CheckpointFiles.in(folder), training.run())
        .ifPresent(
            file -> {
              throw ActclipException.badInput(
                  "%s is of another training: name another folder, or go on from its newest", file);
            });
  }

  @Override
  public void onStart(Training training) {
    CheckpointFiles.deleteUnfinished(folder);
    CheckpointFiles.setAside(folder, training.step());
    write(training);
  }

  @Override
  public void onStep(Training training) {
    if (training.isStopping() || isDue(training.step())) {
      write(training);
    }
  }

  @Override
  public void onEnd(Training training) {
    write(training);
  }

  private boolean isDue(long step) {
    Duration since = Duration.ofNanos(System.nanoTime() - lastTime);
    return step % options.everySteps() == 0 || since.compareTo(options.every()) >= 0;
  }

  private void write(Training training) {
    if (training.step() == lastStep) {
      return;
    }
    lastTime = System.nanoTime(); // After a failure, too: a full disk is not tried at every step.
    if (!isFinite(training)) {
      LOG.warn(
          "There is no checkpoint of step {}, because its parameters are not all finite",
          training.step());
      return;
    }
    try {
      training.checkpointed(Checkpoint.write(folder, training));
      lastStep = training.step();
      CheckpointFiles.deleteOld(folder, options.keep());
    } catch (ActclipException e) {
      LOG.warn(
          "There is no checkpoint of step {}, and the training goes on without: {}",
          training.step(),
          e.getMessage());
    }
  }

  private static boolean isFinite(Training training) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      TensorVector parameters = training.network().parameters();
      return LongStream.range(0, parameters.size())
          .mapToObj(parameters::get)
          .allMatch(TensorNumbers::areFinite);
    }
  }

  /** Whether a file in such a folder is nothing that anybody could miss: a lock, or half a file. */
  @Internal
  public static boolean isNothing(Path file) {
    String name = file.getFileName().toString();
    return name.equals(LOCK) || CheckpointFiles.isUnfinished(name);
  }

  /** Lets another training have the folder. */
  @Override
  public void close() {
    try {
      lock.close();
    } catch (IOException e) {
      LOG.warn("The lock on {} cannot be closed: {}", folder, AtomicFile.reason(e));
    }
  }
}
