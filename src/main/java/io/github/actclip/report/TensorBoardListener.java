package io.github.actclip.report;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;

/**
 * Writes event files for TensorBoard into the folder {@code tensorboard}; {@code tensorboard
 * --logdir} shows them, also while the training runs.
 *
 * <ul>
 *   <li>Of the steps of {@link StepLog}: {@code loss/step}, {@code learning_rate}, and of each
 *       threshold its parameter, {@code threshold/act_max} (the mean over the channels), and {@code
 *       threshold_gradient/act_max} (the sum over them).
 *   <li>Of each epoch, at its last step: {@code loss/train}, {@code loss/test}, each metric
 *       likewise, such as {@code accuracy/test}, {@code samples_per_second}, and of each layer with
 *       thresholds {@code clip_rate/layer1.clip.max} (only {@code clip_rate} where there is one
 *       such layer); the histograms {@code activations/layer1.clip.max} (likewise), of those up to
 *       2 times the threshold, and {@code parameters/conv1.weight} and so on, of every parameter
 *       with more than one element, such as the thresholds of channels.
 * </ul>
 *
 * <p>A training that goes on from a checkpoint gets a further file. What the files before it have
 * of the steps that are done again, or of the break alone, is taken out of them: together they are
 * those of a training without a break. A TensorBoard that runs meanwhile drops the later steps,
 * too.
 *
 * <p>For one training at a time; close it when that has ended. Where the disk is full, the file
 * ends with a warning in the log, and the training goes on.
 */
public final class TensorBoardListener implements TrainingListener, AutoCloseable {

  static final String FOLDER = "tensorboard";

  private static final String NAME = "events.out.tfevents.";
  private static final String PATTERN = "events\\.out\\.tfevents\\.\\d{1,18}";

  private static final String LOSS = "loss/step";
  private static final String LEARNING_RATE = "learning_rate";
  private static final String THRESHOLD = "threshold/";
  private static final String THRESHOLD_GRADIENT = "threshold_gradient/";

  /** With what the tags begin of which a step has a point; of the others an epoch has. */
  private static final List<String> OF_STEPS =
      List.of(LOSS, LEARNING_RATE, THRESHOLD, THRESHOLD_GRADIENT);

  private final Path folder;
  private EventFile events;

  /**
   * @param folder where the folder {@code tensorboard} is made when the training begins
   */
  public TensorBoardListener(Path folder) {
    this.folder = folder.resolve(FOLDER);
  }

  @Override
  public void onStart(Training training) {
    close();
    AtomicFile.createFolder(folder);
    List<Path> before = files();
    if (training.isResumed()) {
      before.forEach(file -> keepWhatStays(file, training));
    }
    Clock clock = Clock.systemUTC();
    long last = before.isEmpty() ? 0 : numberOf(before.get(before.size() - 1));
    // TensorBoard reads the files in the order of their names, and knows them by this one.
    Path file = folder.resolve(NAME + Math.max(clock.millis(), last + 1));
    events = new EventFile(file, training.step() + 1, clock);
  }

  /** Those of this class, the oldest first. */
  private List<Path> files() {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.getFileName().toString().matches(PATTERN))
          .sorted(Comparator.comparingLong(TensorBoardListener::numberOf))
          .toList();
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", folder, AtomicFile.reason(e));
    }
  }

  private static long numberOf(Path file) {
    return Long.parseLong(file.getFileName().toString().substring(NAME.length()));
  }

  private static void keepWhatStays(Path file, Training training) {
    byte[] content = content(file);
    ByteArrayOutputStream kept = new ByteArrayOutputStream();
    EventRecord.parse(content).stream()
        .filter(record -> stays(record, training))
        .forEach(record -> kept.writeBytes(record.bytes()));
    if (kept.size() < content.length) {
      AtomicFile.write(file, kept::writeTo);
    }
  }

  private static byte[] content(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    }
  }

  /** Whether it is a file of this class to which nothing was added. */
  static boolean isWithoutPoints(Path file) {
    return file.getFileName().toString().matches(PATTERN)
        && EventRecord.parse(content(file)).stream().allMatch(record -> record.tag().isEmpty());
  }

  /** Whether a training that was not interrupted would have it. */
  private static boolean stays(EventRecord record, Training training) {
    long step = record.step();
    if (record.tag().isEmpty()) {
      return true;
    }
    boolean isRegular =
        OF_STEPS.stream().anyMatch(record.tag()::startsWith)
            ? StepLog.isDue(step, training)
            : step % training.stepsPerEpoch() == 0;
    return isRegular && step <= training.step();
  }

  @Override
  public void onStep(Training training) {
    if (StepLog.isDue(training)) {
      addStep(training.stepMetrics());
    }
  }

  private void addStep(StepMetrics metrics) {
    long step = metrics.step();
    events.addScalar(LOSS, metrics.loss(), step);
    events.addScalar(LEARNING_RATE, metrics.learningRate(), step);
    metrics
        .thresholds()
        .forEach((name, t) -> events.addScalar(THRESHOLD + name, sum(t) / t.size(), step));
    metrics
        .gradients()
        .forEach((name, g) -> events.addScalar(THRESHOLD_GRADIENT + name, sum(g), step));
  }

  @Override
  public void onEpoch(Training training, EpochMetrics metrics) {
    long step = metrics.step();
    metrics.train().forEach((name, v) -> events.addScalar(name + "/train", v, step));
    metrics.test().forEach((name, v) -> events.addScalar(name + "/test", v, step));
    events.addScalar("samples_per_second", metrics.samplesPerSecond(), step);
    boolean isOne = metrics.thresholds().size() == 1;
    metrics
        .thresholds()
        .forEach((name, seen) -> addActivations(seen, isOne ? "" : "/" + name, step));
    addParameters(training, step);
  }

  private void addActivations(ActivationStatistics seen, String of, long step) {
    events.addScalar("clip_rate" + of, seen.clipRate(), step);
    if (seen.threshold() > 0) {
      Histogram activations = Histogram.ofTenths(seen.threshold(), seen.histogram());
      events.addHistogram("activations" + of, activations, step);
    }
  }

  private void addParameters(Training training, long step) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      for (Map.Entry<String, Tensor> parameter : StateDict.of(training.network()).entrySet()) {
        double[] values = TensorNumbers.of(parameter.getValue());
        if (values.length > 1 && Arrays.stream(values).allMatch(Double::isFinite)) {
          events.addHistogram("parameters/" + parameter.getKey(), Histogram.of(values), step);
        }
      }
    }
  }

  private static double sum(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).sum();
  }

  @Override
  public void close() {
    if (events != null) {
      events.close();
    }
  }
}
