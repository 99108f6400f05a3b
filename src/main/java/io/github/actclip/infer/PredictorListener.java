package io.github.actclip.infer;

import io.github.actclip.runtime.ActclipException;

/**
 * Hears what a {@link Predictor} does, such as for metrics. Called on the predictor's threads, or
 * the caller's, by several at once: it has to be quick and must not throw.
 */
public interface PredictorListener {

  /**
   * A batch was computed.
   *
   * @param size its samples
   * @param nanos from when it was taken from the queue to its outputs
   */
  default void onBatch(int size, long nanos) {}

  /**
   * A prediction was made.
   *
   * @param queuedNanos how long it waited for its batch
   * @param totalNanos from when it was handed over to its result
   */
  default void onPrediction(long queuedNanos, long totalNanos) {}

  /**
   * There was no prediction.
   *
   * @param kind why
   */
  default void onRejection(ActclipException.Kind kind) {}
}
