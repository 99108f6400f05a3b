package io.github.actclip.train;

import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.Dataset;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Device;

/**
 * Trains a {@link Network}: LibTorch's own loop (zero_grad, forward, backward, step) with a
 * schedule, a test after each epoch, and listeners.
 *
 * <p>{@link #stop} may be called from any thread; everything else belongs to one thread. An
 * interrupt of that thread, such as that of {@code Future.cancel(true)}, is the same as {@link
 * #stop}: the step under way is done, listeners hear of it as of a stop, a {@code Checkpointer}
 * writes a checkpoint, what was trained so far is tested, and the thread is interrupted again when
 * {@link #fit} or {@link #resume} returns.
 */
public final class Trainer {

  private static final long NANOS_PER_PROGRESS = 250_000_000;

  private final Network network;
  private final TrainerOptions options;
  private final Device device;
  private final List<TrainingListener> listeners = new ArrayList<>();
  private final Map<String, String> notes = new LinkedHashMap<>();
  private Loss loss = Loss.crossEntropy();
  private List<Metric> metrics = List.of(Metric.accuracy());
  private volatile boolean stopping;
  private volatile boolean complete;
  private boolean interrupted;
  private long reported;
  private long steps;

  /** Moves the network to the GPU where there is one: see {@link Devices#auto}. */
  public Trainer(Network network, TrainerOptions options) {
    this(network, options, Devices.auto());
  }

  /**
   * Moves the network to a device. It is trained by cross-entropy, and judged by accuracy, too,
   * unless {@link #loss} says otherwise.
   *
   * @param network what is trained, in place; the caller keeps it
   * @param device where
   * @throws ActclipException bad input, when the network or the device was closed, this machine has
   *     no such device, or the device no such precision
   */
  public Trainer(Network network, TrainerOptions options, Device device) {
    Arguments.requireOpen("the network", network);
    Objects.requireNonNull(options, "options");
    options.precision().requireOn(device);
    this.network = network;
    this.options = options;
    this.device = device;
    network.to(device, false);
  }

  /**
   * Trains by this loss, and judges by it and these metrics alone.
   *
   * @throws ActclipException bad input, when two metrics have one name
   */
  public Trainer loss(Loss by, Metric... judges) {
    loss = Objects.requireNonNull(by, "by");
    metrics = Metric.requireDistinct(List.of(judges));
    return this;
  }

  /** Has listeners called, in this order, after those that were given before. */
  public Trainer with(TrainingListener... more) {
    listeners.addAll(List.of(more));
    return this;
  }

  /**
   * Notes a text with the training, such as how its network is made: checkpoints, reports and files
   * of weights keep it.
   *
   * @param name such as {@code "actclip.net"}
   */
  public Trainer note(String name, String text) {
    notes.put(Objects.requireNonNull(name, "name"), Objects.requireNonNull(text, "text"));
    return this;
  }

  Network network() {
    return network;
  }

  TrainerOptions options() {
    return options;
  }

  Device device() {
    return device;
  }

  Loss loss() {
    return loss;
  }

  List<Metric> metrics() {
    return metrics;
  }

  Map<String, String> notes() {
    return Collections.unmodifiableMap(notes);
  }

  /**
   * Ends {@link #fit} after the current step; what was trained so far is tested. A trainer that was
   * stopped begins no other training.
   */
  public void stop() {
    stopping = true;
  }

  /** Whether {@link #stop}, or an interrupt, ended {@link #fit} before its last step. */
  public boolean isStopped() {
    return stopping && !complete;
  }

  /** How many steps the last {@link #fit} or {@link #resume} did. */
  public long steps() {
    return steps;
  }

  boolean isStopping() {
    return stopping;
  }

  /**
   * Trains on {@code train} and tests on {@code test} after each epoch.
   *
   * @return one entry an epoch, the last for a part of one if the training was stopped within it
   * @throws ActclipException when the loss is no longer a finite number
   */
  public List<EpochMetrics> fit(Dataset train, Dataset test) {
    return fit(train, test, training -> {});
  }

  /**
   * Goes on from a checkpoint as if the training had never been interrupted: on the CPU, with the
   * same number of threads, to the same bits.
   *
   * <p>The options may have another number of epochs than the checkpoint's. The learning rate is
   * then that of a training of so many from the start, as with a scheduler of PyTorch that is made
   * anew with that number and {@code last_epoch}: {@link LearningRateSchedule.Type#ONE_CYCLE} and
   * {@link LearningRateSchedule.Type#COSINE} depend on it and jump, with a warning in the log; with
   * all others the training is the one that was planned longer, to the same bits.
   *
   * @param checkpoint brings a training that has not begun to where it stood: {@code
   *     checkpoint::restore}
   * @param train what the training began with
   * @return as {@link #fit(Dataset, Dataset)}, with the epochs before the checkpoint
   * @throws ActclipException bad input when the network, the options or the data are not those of
   *     the checkpoint, or when it is of a later epoch than the options' last; a failure when the
   *     loss is no longer a finite number
   */
  public List<EpochMetrics> resume(Consumer<Training> checkpoint, Dataset train, Dataset test) {
    return fit(train, test, checkpoint);
  }

  private List<EpochMetrics> fit(Dataset train, Dataset test, Consumer<Training> beginning) {
    Arguments.requireOpen("the network", network);
    Arguments.requireOpen("the device", device);
    List<EpochMetrics> epochs = new ArrayList<>();
    steps = 0;
    interrupted = false;
    try {
      TensorScope.run(
          () -> {
            Training training = new Training(this, train, test);
            beginning.accept(training);
            run(training);
            epochs.addAll(training.epochs());
          });
    } finally {
      KernelLibrary.releaseFreedMemory();
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    return List.copyOf(epochs);
  }

  /**
   * Takes note of an interrupt, and puts it aside: what listeners do to the end of the training
   * must not fail for it.
   */
  private void stopIfInterrupted() {
    if (Thread.interrupted()) {
      interrupted = true;
      stop();
    }
  }

  private void run(Training training) {
    boolean trained = network.is_training();
    if (!trained) { // Where it is, a part that is not was put into evaluation mode by the user.
      network.train(true);
    }
    try {
      runEpochs(training);
    } finally {
      if (!trained) {
        network.eval();
      }
    }
  }

  private void runEpochs(Training training) {
    stopIfInterrupted();
    listeners.forEach(listener -> listener.onPrepare(training));
    listeners.forEach(listener -> listener.onStart(training));
    stopIfInterrupted();
    while (!training.isComplete() && !stopping) {
      TensorScope.run(() -> trainEpoch(training));
      EpochMetrics metrics = training.endEpoch();
      complete = training.isComplete();
      stopIfInterrupted();
      listeners.forEach(listener -> listener.onEpoch(training, metrics));
      stopIfInterrupted();
    }
    complete = training.isComplete();
    listeners.forEach(listener -> listener.onEnd(training));
  }

  private void trainEpoch(Training training) {
    try (BatchIterator batches = training.remainingBatches()) {
      reported = System.nanoTime();
      training.timer().start();
      while (batches.hasNext()) {
        TensorScope.run(() -> step(training, batches));
        reportNowAndThen(training);
        training.timer().end(Phase.OTHER);
        if (stopping) {
          break;
        }
      }
    }
  }

  private void reportNowAndThen(Training training) {
    if (System.nanoTime() - reported >= NANOS_PER_PROGRESS) {
      ProgressMetrics progress = training.progressMetrics();
      listeners.forEach(listener -> listener.onProgress(progress));
      reported = System.nanoTime();
    }
  }

  private void step(Training training, Iterator<Batch> batches) {
    training.step(batches);
    steps++;
    stopIfInterrupted();
    listeners.forEach(listener -> listener.onStep(training));
  }
}
