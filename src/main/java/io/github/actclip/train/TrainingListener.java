package io.github.actclip.train;

/**
 * Hears how a training goes, on the thread that trains. What it throws ends the training. Whoever
 * made a listener closes what it holds open.
 */
public interface TrainingListener {

  /**
   * The training is ready, and nothing of it was written. Here a listener refuses one that it
   * cannot go with: no listener has heard {@link #onStart} by then.
   */
  default void onPrepare(Training training) {}

  /** The training begins, or goes on from a checkpoint. */
  default void onStart(Training training) {}

  /**
   * A step was done; the gradients are still there. Every step waits for this, and what it makes is
   * freed after the step.
   */
  default void onStep(Training training) {}

  /** Some steps were done; called a few times a second at most. */
  default void onProgress(ProgressMetrics metrics) {}

  /** An epoch was done and tested, or was cut short by {@link Trainer#stop}. */
  default void onEpoch(Training training, EpochMetrics metrics) {}

  /** The training is complete or was stopped; not called when it failed. */
  default void onEnd(Training training) {}
}
