package io.github.actclip.report;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.Json;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.logging.log4j.Logger;

/**
 * Writes {@code steps.jsonl}: the {@link StepMetrics} of the first, every tenth and the last step,
 * an object a line. A training that is stopped has its last step, too. One that goes on from a
 * checkpoint goes on with its file, without the lines of the steps that are done again and without
 * that of the step in which it was stopped: in the end, the file is that of a training without a
 * break.
 *
 * <p>For one training at a time; close it when that has ended. Where the disk is full, the file
 * ends with a warning in the log, and the training goes on.
 */
public final class StepLog implements TrainingListener, AutoCloseable {

  static final String FILE = "steps.jsonl";

  private static final Logger LOG = Loggers.of(StepLog.class);
  private static final int EVERY = 10;

  private final Path folder;
  private RecordFile file;

  /**
   * @param folder where the file is, or will be when the training begins; it must exist by then
   */
  public StepLog(Path folder) {
    this.folder = folder;
  }

  /**
   * Reads what was written.
   *
   * @param folder where the file is
   * @return the steps, in their order; none when there is no file. A line that a killed process
   *     left half written, and what follows it, is left out.
   * @throws ActclipException a failure when the file cannot be read
   */
  public static List<StepMetrics> read(Path folder) {
    Path file = folder.resolve(FILE);
    List<StepMetrics> steps = new ArrayList<>();
    for (String line : lines(file)) {
      try {
        steps.add(Json.read(line, StepMetrics.class, "not the metrics of a step"));
      } catch (ActclipException e) {
        LOG.warn("{} is left out from line {} on: {}", file, steps.size() + 1, e.getMessage());
        break;
      }
    }
    return steps;
  }

  private static List<String> lines(Path file) {
    try {
      // Not Files.readAllLines: a torn line need not be UTF-8.
      return new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    }
  }

  /** Whether a step is one of those whose metrics are written. */
  static boolean isDue(Training training) {
    return isDue(training.step(), training) || training.isStopping();
  }

  /** The same of any step of a training that is not stopped. */
  static boolean isDue(long step, Training training) {
    return step == 1 || step % EVERY == 0 || step == training.totalSteps();
  }

  @Override
  public void onStart(Training training) {
    close();
    Path path = folder.resolve(FILE);
    StringBuilder kept = new StringBuilder();
    read(folder).stream()
        .filter(metrics -> metrics.step() <= training.step())
        .filter(metrics -> isDue(metrics.step(), training))
        .forEach(metrics -> kept.append(line(metrics)));
    AtomicFile.writeString(path, kept.toString());
    file = new RecordFile(path);
  }

  @Override
  public void onStep(Training training) {
    if (isDue(training)) {
      file.add(line(training.stepMetrics()).getBytes(StandardCharsets.UTF_8));
    }
  }

  private static String line(StepMetrics metrics) {
    return Json.line(metrics) + "\n";
  }

  @Override
  public void close() {
    if (file != null) {
      file.close();
    }
  }
}
