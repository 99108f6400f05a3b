package io.github.actclip.infer;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.ActclipException.Kind;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;

/** A sample that waits for its prediction. */
final class Request {

  private final float[] values;
  private final long deadlineNanos;
  private final long submitted = System.nanoTime();
  private final CompletableFuture<Prediction> result = new CompletableFuture<>();

  /**
   * A request that is handed over now.
   *
   * @param deadlineNanos from now on; 0 for none
   */
  Request(Sample sample, long deadlineNanos) {
    values = sample.values();
    this.deadlineNanos = deadlineNanos;
  }

  float[] values() {
    return values;
  }

  /** Whose completion is the end of the request; on the thread of whoever completes it. */
  CompletableFuture<Prediction> result() {
    return result;
  }

  /** How long ago it was handed over. */
  long age() {
    return System.nanoTime() - submitted;
  }

  boolean isTooLate() {
    return deadlineNanos > 0 && age() > deadlineNanos;
  }

  ActclipException tooLate() {
    return ActclipException.rejected(
        Kind.TOO_LATE,
        "the prediction was not there after %.3f ms, its deadline: try again later, or give it more"
            + " time",
        deadlineNanos / 1e6);
  }

  /** Waits for the end, be it a failure; not longer than until the deadline. */
  void awaitEnd() {
    CompletableFuture<?> end = result.handle((prediction, failure) -> null);
    if (deadlineNanos > 0) {
      end.completeOnTimeout(null, deadlineNanos - age(), TimeUnit.NANOSECONDS);
    }
    end.join();
  }

  /** Returns the prediction of a request that has ended, or throws why there is none. */
  Prediction prediction() {
    try {
      return result.join();
    } catch (CompletionException e) {
      throw (ActclipException) e.getCause();
    }
  }
}
