package io.github.actclip.train;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.StateDict;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Writes event files for TensorBoard into the folder {@code tensorboard}; {@code tensorboard
 * --logdir} shows them, also while the training runs.
 *
 * <ul>
 *   <li>Of the steps of {@link StepLog}: {@code loss/step}, {@code learning_rate}, and of each
 *       threshold its parameter, {@code threshold/act_max} (the mean over the channels), and {@code
 *       threshold_gradient/act_max} (the sum over them).
 *   <li>Of each epoch, at its last step: {@code loss/train}, {@code loss/test}, {@code
 *       accuracy/train}, {@code accuracy/test}, {@code clip_rate}, {@code images_per_second}; the
 *       histograms {@code activations}, of those up to 2 times the threshold, and {@code
 *       parameters/conv1.weight} and so on, of every parameter with more than one element, such as
 *       the thresholds of channels.
 * </ul>
 *
 * <p>A training that goes on from a checkpoint gets a further file, which takes the place of what
 * was written of later steps.
 *
 * <p>For one training at a time; close it when that has ended. Where the disk is full, the file
 * ends with a warning in the log, and the training goes on.
 */
public final class TensorBoardListener implements TrainingListener, AutoCloseable {

  static final String FOLDER = "tensorboard";

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
    Clock clock = Clock.systemUTC();
    // TensorBoard reads the files in the order of their names, and knows them by this one.
    Path file = folder.resolve("events.out.tfevents." + clock.millis());
    events = new EventFile(file, training.step() + 1, clock);
  }

  @Override
  public void onStep(Training training) {
    if (StepLog.isDue(training)) {
      addStep(training.stepMetrics());
    }
  }

  private void addStep(StepMetrics metrics) {
    long step = metrics.step();
    events.addScalar("loss/step", metrics.loss(), step);
    events.addScalar("learning_rate", metrics.learningRate(), step);
    metrics
        .thresholds()
        .forEach((name, t) -> events.addScalar("threshold/" + name, sum(t) / t.size(), step));
    metrics
        .gradients()
        .forEach((name, g) -> events.addScalar("threshold_gradient/" + name, sum(g), step));
  }

  @Override
  public void onEpoch(Training training, EpochMetrics metrics) {
    long step = metrics.step();
    events.addScalar("loss/train", metrics.trainLoss(), step);
    events.addScalar("loss/test", metrics.testLoss(), step);
    events.addScalar("accuracy/train", metrics.trainAccuracy(), step);
    events.addScalar("accuracy/test", metrics.testAccuracy(), step);
    events.addScalar("clip_rate", metrics.clipRate(), step);
    events.addScalar("images_per_second", metrics.imagesPerSecond(), step);
    if (metrics.actMax() > 0) {
      Histogram activations = Histogram.ofTenths(metrics.actMax(), metrics.activations());
      events.addHistogram("activations", activations, step);
    }
    addParameters(training, step);
  }

  private void addParameters(Training training, long step) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      for (Map.Entry<String, Tensor> parameter : StateDict.of(training.net()).entrySet()) {
        double[] values = WatchedThreshold.numbers(parameter.getValue());
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
