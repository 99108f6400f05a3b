package io.github.actclip.train;

import org.bytedeco.pytorch.Optimizer;

/** Hears how a training goes, on the thread that trains. What it throws ends the training. */
public interface TrainingListener {

  /**
   * A step was done; the gradients are still there. Every step waits for this, and what it makes is
   * freed after the step.
   *
   * @param step steps done since the start of the training
   * @param optimizer the training's; it ends with {@link Trainer#fit}
   */
  default void onStep(long step, Optimizer optimizer) {}

  /** Some steps were done; called a few times a second at most. */
  default void onProgress(ProgressMetrics metrics) {}

  /** An epoch was done and tested, or was cut short by {@link Trainer#stop}. */
  default void onEpoch(EpochMetrics metrics) {}
}
