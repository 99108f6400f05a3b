package io.github.actclip.train;

/**
 * Hears how a training goes, in plain numbers, on the thread that trains. What it throws ends the
 * training.
 */
public interface TrainingListener {

  /** Some steps were done; called a few times a second at most. */
  default void onProgress(ProgressMetrics metrics) {}

  /** An epoch was done and tested, or was cut short by {@link Trainer#stop}. */
  default void onEpoch(EpochMetrics metrics) {}
}
