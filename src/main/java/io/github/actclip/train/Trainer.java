package io.github.actclip.train;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Trains a {@link Net}: LibTorch's own loop (zero_grad, forward, backward, step) with a schedule, a
 * test after each epoch, and listeners.
 *
 * <p>{@link #stop} may be called from any thread; everything else belongs to one thread.
 */
public final class Trainer {

  private static final long NANOS_PER_PROGRESS = 250_000_000;
  private static final double NANOS_PER_SECOND = 1e9;

  private final Net net;
  private final TrainerOptions options;
  private final Device device;
  private final List<TrainingListener> listeners;
  private volatile boolean stopped;
  private volatile boolean complete;

  /**
   * Moves the network to the device.
   *
   * @param net what is trained, in place; the caller keeps it
   * @param device where
   * @param listeners called in this order
   */
  public Trainer(Net net, TrainerOptions options, Device device, List<TrainingListener> listeners) {
    this.net = net;
    this.options = options;
    this.device = device;
    this.listeners = List.copyOf(listeners);
    net.to(device, false);
  }

  /** Ends {@link #fit} after the current step; what was trained so far is tested. */
  public void stop() {
    stopped = true;
  }

  /** Whether {@link #stop} ended {@link #fit} before its last step. */
  public boolean isStopped() {
    return stopped && !complete;
  }

  /**
   * Trains on {@code train} and tests on {@code test} after each epoch.
   *
   * @return one entry an epoch, the last for a part of one if the training was stopped within it
   * @throws ActclipException when the loss is no longer a finite number
   */
  public List<EpochMetrics> fit(ImageDataset train, ImageDataset test) {
    List<EpochMetrics> epochs = new ArrayList<>();
    TensorScope.run(() -> fit(train, test, epochs));
    return List.copyOf(epochs);
  }

  private void fit(ImageDataset train, ImageDataset test, List<EpochMetrics> epochs) {
    DataLoader loader = DataLoader.shuffled(train, options.batchSize(), options.seed(), device);
    Optimizer optimizer = options.optimizer().create(net.parameters(), net.thresholds(), options);
    for (int i = 0; i < options.epochs() && !stopped; i++) {
      Epoch epoch = new Epoch(i, loader, optimizer);
      TensorScope.run(epoch::train);
      EpochMetrics metrics = epoch.test(test);
      epochs.add(metrics);
      complete = metrics.step() == (long) options.epochs() * loader.batches();
      listeners.forEach(listener -> listener.onEpoch(metrics));
    }
  }

  /** One pass over the images. */
  private final class Epoch {

    private final int epoch;
    private final DataLoader loader;
    private final Optimizer optimizer;
    private final long totalSteps;
    private long step;
    private double learningRate;
    private Evaluation training;
    private double seconds;

    Epoch(int epoch, DataLoader loader, Optimizer optimizer) {
      this.epoch = epoch;
      this.loader = loader;
      this.optimizer = optimizer;
      step = (long) epoch * loader.batches();
      totalSteps = (long) options.epochs() * loader.batches();
    }

    void train() {
      RunningMetrics metrics = new RunningMetrics(device);
      long start = System.nanoTime();
      long reported = start;
      for (Batch batch : loader.epoch(epoch)) {
        TensorScope.run(() -> step(batch, metrics));
        long now = System.nanoTime();
        if (now - reported >= NANOS_PER_PROGRESS) {
          report(metrics.read(), (now - start) / NANOS_PER_SECOND);
          reported = now;
        }
        if (stopped) {
          break;
        }
      }
      training = metrics.read();
      requireFinite("loss", training.loss());
      seconds = (System.nanoTime() - start) / NANOS_PER_SECOND;
    }

    private void step(Batch batch, RunningMetrics metrics) {
      learningRate = options.schedule().at(step, totalSteps, options.learningRate());
      OptimizerType.setLearningRate(optimizer, learningRate, options);
      optimizer.zero_grad();
      Tensor logits = net.forward(batch.images());
      Tensor loss = torch.cross_entropy_loss(logits, batch.labels());
      Autograd.backward(loss);
      optimizer.step();
      metrics.add(loss, logits, batch.labels());
      step++;
      listeners.forEach(listener -> listener.onStep(step, optimizer));
    }

    private void report(Evaluation soFar, double secondsSoFar) {
      ProgressMetrics progress =
          new ProgressMetrics(
              epoch + 1,
              step,
              totalSteps,
              soFar.loss(),
              soFar.accuracy(),
              net.threshold(),
              soFar.images() / secondsSoFar);
      listeners.forEach(listener -> listener.onProgress(progress));
    }

    private void requireFinite(String what, double value) {
      if (!Double.isFinite(value)) {
        throw ActclipException.failure(
            null,
            "the training diverged: the %s of epoch %d is %s; a lower learning rate than %s"
                + " may help",
            what,
            epoch + 1,
            value,
            options.learningRate());
      }
    }

    EpochMetrics test(ImageDataset test) {
      Evaluation testing = Evaluator.evaluate(net, test, device);
      requireFinite("test loss", testing.loss());
      requireFinite("act_max", net.threshold());
      ActivationStatistics activations = net.activation().statistics().orElseThrow();
      return new EpochMetrics(
          epoch + 1,
          step,
          learningRate,
          training.loss(),
          training.accuracy(),
          testing.loss(),
          testing.accuracy(),
          net.threshold(),
          activations.clipRate(),
          activations.gradient(),
          training.images() / seconds,
          seconds);
    }
  }
}
