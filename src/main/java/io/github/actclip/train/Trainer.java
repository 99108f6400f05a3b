package io.github.actclip.train;

import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Device;

/**
 * Trains a {@link Net}: LibTorch's own loop (zero_grad, forward, backward, step) with a schedule, a
 * test after each epoch, and listeners.
 *
 * <p>{@link #stop} may be called from any thread; everything else belongs to one thread. An
 * interrupt of that thread, such as that of {@code Future.cancel(true)}, is the same as {@link
 * #stop}: the step under way is done, listeners hear of it as of a stop, a {@link Checkpointer}
 * writes a checkpoint, what was trained so far is tested, and the thread is interrupted again when
 * {@link #fit} or {@link #resume} returns.
 */
public final class Trainer {

  private static final long NANOS_PER_PROGRESS = 250_000_000;

  private final Net net;
  private final TrainerOptions options;
  private final Device device;
  private final List<TrainingListener> listeners;
  private volatile boolean stopping;
  private volatile boolean complete;
  private boolean interrupted;
  private long reported;
  private long steps;

  /**
   * Moves the network to the device.
   *
   * @param net what is trained, in place; the caller keeps it
   * @param device where
   * @param listeners called in this order
   * @throws ActclipException bad input, when the network or the device was closed, this machine has
   *     no such device, or the device no such precision
   */
  public Trainer(Net net, TrainerOptions options, Device device, List<TrainingListener> listeners) {
    Arguments.requireOpen("the network", net);
    options.precision().requireOn(device);
    this.net = net;
    this.options = options;
    this.device = device;
    this.listeners = List.copyOf(listeners);
    net.to(device, false);
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
   * Refuses what {@link #fit} would refuse before it begins, such as batches that are too large,
   * and changes nothing: for whoever makes files for a training before it begins.
   *
   * @throws ActclipException as {@link #fit} does
   */
  public void check(ImageDataset train, ImageDataset test) {
    TensorScope.run(() -> new Training(this, net, options, device, train, test));
  }

  /**
   * Trains on {@code train} and tests on {@code test} after each epoch.
   *
   * @return one entry an epoch, the last for a part of one if the training was stopped within it
   * @throws ActclipException when the loss is no longer a finite number
   */
  public List<EpochMetrics> fit(ImageDataset train, ImageDataset test) {
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
   * @param train the images that the training began with
   * @return as {@link #fit(ImageDataset, ImageDataset)}, with the epochs before the checkpoint
   * @throws ActclipException bad input when the network, the options or the images are not those of
   *     the checkpoint, or when it is of a later epoch than the options' last; a failure when the
   *     loss is no longer a finite number
   */
  public List<EpochMetrics> resume(
      Consumer<Training> checkpoint, ImageDataset train, ImageDataset test) {
    return fit(train, test, checkpoint);
  }

  private List<EpochMetrics> fit(
      ImageDataset train, ImageDataset test, Consumer<Training> beginning) {
    Arguments.requireOpen("the network", net);
    Arguments.requireOpen("the device", device);
    List<EpochMetrics> epochs = new ArrayList<>();
    steps = 0;
    interrupted = false;
    try {
      TensorScope.run(
          () -> {
            Training training = new Training(this, net, options, device, train, test);
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
