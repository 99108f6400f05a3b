package io.github.actclip.infer;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.ActclipException.Kind;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The requests that wait, in the order in which they came; a worker takes a batch of them. It locks
 * with a lock that virtual threads park at, also before JDK 24.
 */
final class RequestQueue {

  private final int capacity;
  private final int largestBatch;
  private final long waitNanos;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Queue<Request> waiting = new ArrayDeque<>();
  private boolean isClosed;

  RequestQueue(PredictorOptions options) {
    capacity = options.queueCapacity();
    largestBatch = options.largestBatch();
    waitNanos = options.maxWait().toNanos();
  }

  /**
   * Adds requests, all or none.
   *
   * @throws ActclipException rejected, when there is no room, or it was closed
   */
  void add(Collection<Request> requests) {
    lock.lock();
    try {
      if (isClosed) {
        throw closed();
      }
      if (waiting.size() + requests.size() > capacity) {
        throw ActclipException.rejected(
            Kind.FULL,
            "%d samples wait for the predictor, and there is room for %d: try again later",
            waiting.size(),
            capacity);
      }
      waiting.addAll(requests);
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  /** What is thrown when it is too late. */
  static ActclipException closed() {
    return ActclipException.rejected(Kind.CLOSED, "the predictor is closed: make another one");
  }

  /**
   * Takes what waits, up to the largest batch; waits for the first to come, and for others for as
   * long as the options say.
   *
   * @return empty when it was closed and nothing is left
   */
  List<Request> take() {
    lock.lock();
    try {
      do {
        while (waiting.isEmpty() && !isClosed) {
          changed.awaitUninterruptibly();
        }
        if (waitNanos > 0) {
          awaitOthers();
        }
      } while (waiting.isEmpty() && !isClosed); // Another worker may have taken those that came.
      List<Request> batch = new ArrayList<>();
      while (batch.size() < largestBatch && !waiting.isEmpty()) {
        batch.add(waiting.remove());
      }
      if (!waiting.isEmpty() || isClosed) {
        changed.signal(); // There is work for another worker, too, or an end to hear of.
      }
      return batch;
    } finally {
      lock.unlock();
    }
  }

  private void awaitOthers() {
    long left = waitNanos - (waiting.isEmpty() ? waitNanos : waiting.element().age());
    while (left > 0 && waiting.size() < largestBatch && !isClosed) {
      try {
        left = changed.awaitNanos(left);
      } catch (InterruptedException e) {
        return; // Nobody interrupts a worker but to hurry it.
      }
    }
  }

  /** How many wait. */
  int size() {
    lock.lock();
    try {
      return waiting.size();
    } finally {
      lock.unlock();
    }
  }

  /** Takes no more; those that wait are still handed out. */
  void close() {
    lock.lock();
    try {
      isClosed = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
