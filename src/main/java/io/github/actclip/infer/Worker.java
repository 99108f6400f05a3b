package io.github.actclip.infer;

import io.github.actclip.runtime.ActclipException;
import java.util.ArrayList;
import java.util.List;

/** What one thread does: takes batches from the queue and computes them. */
final class Worker {

  private final Pool pool;
  private final ForwardPass pass;

  Worker(Pool pool, ForwardPass pass) {
    this.pool = pool;
    this.pass = pass;
  }

  /** Until the queue is closed and empty. */
  void work(RequestQueue queue) {
    for (List<Request> taken = queue.take(); !taken.isEmpty(); taken = queue.take()) {
      List<Request> batch = new ArrayList<>(taken.size());
      for (Request request : taken) {
        if (isInTime(request)) {
          batch.add(request);
        }
      }
      if (!batch.isEmpty()) {
        pool.use(weights -> compute(weights, batch));
      }
    }
  }

  /** Rejects one whose time is over; one that nobody waits for any more is left out, too. */
  private boolean isInTime(Request request) {
    if (request.isTooLate()) {
      pool.reject(request, request.tooLate());
    }
    return !request.result().isDone();
  }

  /** Where a batch fails, each of it is tried alone: the others are not to suffer for one. */
  private void compute(Weights weights, List<Request> batch) {
    long[] queued = batch.stream().mapToLong(Request::age).toArray();
    long start = System.nanoTime();
    List<Prediction> predictions;
    try {
      predictions = pass.run(weights, batch.stream().map(Request::values).toList());
    } catch (Throwable e) { // A user's network may throw anything, and somebody waits.
      if (batch.size() > 1) {
        batch.forEach(request -> compute(weights, List.of(request)));
      } else {
        pool.reject(batch.get(0), asOurs(e));
      }
      return;
    }
    pool.computed(batch.size(), System.nanoTime() - start);
    for (int i = 0; i < queued.length; i++) {
      pool.answer(batch.get(i), predictions.get(i), queued[i]);
    }
  }

  static ActclipException asOurs(Throwable e) {
    return e instanceof ActclipException ours
        ? ours
        : ActclipException.failure(e, "the network fails: %s", ActclipException.firstLine(e));
  }
}
