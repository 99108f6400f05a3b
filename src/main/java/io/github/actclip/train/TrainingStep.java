package io.github.actclip.train;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.data.Batch;
import io.github.actclip.optim.GradScaler;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.TensorScope;
import java.util.Iterator;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * One step: the gradients of its batches, and the optimizer's update; in mixed precision, and with
 * a limit on the gradient, where the options say so.
 */
final class TrainingStep {

  /** Reading a loss waits for the device, which a CPU does not mind and a GPU does. */
  private static final int CHECKED_ON_GPU_EVERY = 32;

  private final Training training;
  private final TrainerOptions options;
  private final TensorVector parameters;
  private final GradScaler scaler;

  /** Belongs to the caller's scope. */
  TrainingStep(Training training) {
    this.training = training;
    options = training.options();
    parameters = training.network().parameters();
    scaler = options.precision() == Precision.FLOAT16 ? new GradScaler() : null;
  }

  /** What scales the loss, a part of where a training stands; null where nothing does. */
  GradScaler scaler() {
    return scaler;
  }

  /**
   * Trains on as many batches as a step has, or as are left of the epoch; the caller's scope owns
   * what this makes.
   *
   * @param batches at least one
   * @param metrics gets each of them
   * @return what came of it
   */
  Result run(Iterator<Batch> batches, RunningMetrics metrics) {
    PhaseTimer timer = training.timer();
    training.optimizer().zero_grad();
    timer.end(Phase.OPTIMIZER);
    Tensor loss = null;
    int count = 0;
    long samples = 0;
    while (count < options.accumulation() && batches.hasNext()) {
      Batch batch = batches.next();
      timer.end(Phase.DATA);
      Tensor share = addGradients(batch, metrics);
      loss = loss == null ? share : loss.add(share);
      samples += batch.target().size(0);
      count++;
    }
    if (options.accumulation() > 1 && samples < fullStep()) { // the last of an epoch
      Scalar whole = new Scalar((double) fullStep() / samples);
      loss = loss.mul(whole);
      forEachGradient(gradient -> gradient.mul_(whole));
    }
    update();
    timer.end(Phase.OPTIMIZER);
    return new Result(count, loss);
  }

  /**
   * What a step came to.
   *
   * @param batches how many it took
   * @param loss the mean over their samples, a scalar
   */
  record Result(int batches, Tensor loss) {}

  /** Adds the gradients of a batch's share of the loss; returns that share. */
  private Tensor addGradients(Batch batch, RunningMetrics metrics) {
    PhaseTimer timer = training.timer();
    try (TensorScope scope = new TensorScope()) {
      Tensor output = forward(batch.data());
      Tensor loss = loss(output, batch);
      requireFinite(loss, batch);
      Tensor share = share(loss, batch);
      timer.end(Phase.FORWARD);
      Autograd.backward(scaler == null ? share : scaler.scale(share));
      timer.end(Phase.BACKWARD);
      metrics.add(loss, output, batch.target());
      timer.end(Phase.OTHER);
      return scope.pass(share.detach());
    }
  }

  private Tensor forward(Tensor data) {
    Tensor output = inPrecision(training, () -> Evaluator.forward(training.network(), data));
    return options.precision() == Precision.FLOAT32 ? output : output.to(ScalarType.Float);
  }

  /** Computes something as the steps of a training do. */
  static <T> T inPrecision(Training training, Supplier<T> work) {
    Precision precision = training.options().precision();
    return precision == Precision.FLOAT32
        ? work.get()
        : Autocast.run(training.device(), precision.dtype(), work);
  }

  private Tensor loss(Tensor output, Batch batch) {
    Tensor loss = Evaluator.loss(training.loss(), output, batch.target());
    RunningMetrics.requireNumber("the loss", loss);
    if (!loss.requires_grad()) {
      throw ActclipException.badInput(
          "the loss %s has no gradient: it must depend on the network's parameters",
          training.loss().text());
    }
    return loss;
  }

  /** Of the mean loss over the samples of a step. */
  private Tensor share(Tensor loss, Batch batch) {
    return options.accumulation() == 1
        ? loss
        : loss.mul(new Scalar((double) batch.target().size(0) / fullStep()));
  }

  /** The samples of a step that has all its batches. */
  private long fullStep() {
    return (long) options.batchSize() * options.accumulation();
  }

  private void update() {
    if (scaler != null && !scaler.unscale(parameters)) {
      return;
    }
    if (options.maxGradNorm() > 0) {
      torch.clip_grad_norm_(parameters, options.maxGradNorm());
    }
    training.optimizer().step();
  }

  private void forEachGradient(Consumer<Tensor> work) {
    for (long i = 0; i < parameters.size(); i++) {
      Tensor gradient = parameters.get(i).grad();
      if (gradient.defined()) {
        work.accept(gradient);
      }
    }
  }

  /** Before the update, so that the parameters are still those that gave this loss. */
  private void requireFinite(Tensor loss, Batch batch) {
    if (loss.is_cpu() || training.step() % CHECKED_ON_GPU_EVERY == 0) {
      Divergence.requireFinite(training, "loss", loss.item_double(), batch.data());
    }
  }
}
