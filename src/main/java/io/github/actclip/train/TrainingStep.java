package io.github.actclip.train;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.data.Batch;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** One step: gradients of a batch, and the optimizer's update. */
final class TrainingStep {

  /** Reading a loss waits for the device, which a CPU does not mind and a GPU does. */
  private static final int CHECKED_ON_GPU_EVERY = 32;

  private final Training training;

  TrainingStep(Training training) {
    this.training = training;
  }

  /**
   * Trains on a batch; the caller's scope owns what this makes.
   *
   * @return what it was trained with
   */
  Result run(Batch batch) {
    PhaseTimer timer = training.timer();
    training.optimizer().zero_grad();
    Tensor logits = training.net().forward(batch.images());
    Tensor loss = torch.cross_entropy_loss(logits, batch.labels());
    requireFinite(loss, batch);
    timer.end(Phase.FORWARD);
    Autograd.backward(loss);
    timer.end(Phase.BACKWARD);
    training.optimizer().step();
    timer.end(Phase.OPTIMIZER);
    return new Result(loss, logits);
  }

  /**
   * What a batch came to.
   *
   * @param loss its mean, a scalar
   * @param logits (B, classes)
   */
  record Result(Tensor loss, Tensor logits) {}

  /** Before the update, so that the parameters are still those that gave this loss. */
  private void requireFinite(Tensor loss, Batch batch) {
    if (loss.is_cpu() || training.step() % CHECKED_ON_GPU_EVERY == 0) {
      Divergence.requireFinite(training, "loss", loss.item_double(), batch.images());
    }
  }
}
