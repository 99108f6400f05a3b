package io.github.actclip.infer;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.SampleReader;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.Uninterrupted;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.global.torch;

/** The threads of a predictor, and the weights that they compute with. */
final class Pool {

  private static final Logger LOG = Loggers.of(Pool.class);

  private final PredictorOptions options;
  private final SampleReader reader;
  private final RequestQueue queue;
  private final List<CompletableFuture<Void>> ends = new ArrayList<>();
  private final List<PredictorListener> listeners = new CopyOnWriteArrayList<>();
  private final LongAdder inputBytes = new LongAdder();
  private volatile Weights weights;
  private volatile boolean closed;

  /**
   * Starts the threads, and waits until each has computed the batches of the warm-up. On a platform
   * thread.
   *
   * @param weights are the pool's from now on
   * @throws ActclipException what the warm-up throws; nothing is left behind then
   */
  Pool(Weights weights, SampleReader reader, PredictorOptions options) {
    this.weights = weights;
    this.reader = reader;
    this.options = options;
    queue = new RequestQueue(options);
    int before = LibTorch.threads();
    List<CompletableFuture<Optional<ActclipException>>> starts = new ArrayList<>();
    for (int i = 1; i <= options.workers(); i++) {
      CompletableFuture<Optional<ActclipException>> start = new CompletableFuture<>();
      starts.add(start);
      ends.add(CompletableFuture.runAsync(() -> run(start), thread("actclip predictor " + i)));
    }
    List<ActclipException> failures =
        starts.stream().map(CompletableFuture::join).flatMap(Optional::stream).toList();
    torch.set_num_threads(before); // LibTorch gives what was set last to threads that are new.
    if (!failures.isEmpty()) {
      close();
      throw failures.get(0);
    }
  }

  /** One that does not keep the JVM from its end. */
  private static Executor thread(String name) {
    return task -> {
      Thread thread = new Thread(task, name);
      thread.setDaemon(true);
      thread.start();
    };
  }

  private void run(CompletableFuture<Optional<ActclipException>> start) {
    try {
      LibTorch.load();
      torch.set_num_threads(options.threads());
      try (ForwardPass pass = new ForwardPass(reader, options)) {
        inputBytes.add(pass.bytes());
        pass.warmUp(weights, options.warmUp());
        start.complete(Optional.empty());
        new Worker(this, pass).work(queue);
      }
    } catch (Throwable e) { // Whoever waits for the start is to hear of it.
      start.complete(Optional.of(Worker.asOurs(e)));
    }
  }

  /**
   * Hands requests over, all or none.
   *
   * @throws ActclipException rejected, when there is no room, or it was closed
   */
  void submit(List<Request> requests) {
    try {
      queue.add(requests);
    } catch (ActclipException e) {
      requests.forEach(request -> tell(listener -> listener.onRejection(e.kind())));
      throw e;
    }
  }

  /** Does something with the weights that are the newest now. */
  void use(Consumer<Weights> work) {
    Weights newest = weights;
    while (!newest.acquire()) {
      newest = weights;
    }
    try {
      work.accept(newest);
    } finally {
      newest.release();
    }
  }

  void answer(Request request, Prediction prediction, long queuedNanos) {
    if (request.result().complete(prediction)) {
      tell(listener -> listener.onPrediction(queuedNanos, request.age()));
    }
  }

  void reject(Request request, ActclipException reason) {
    if (request.result().completeExceptionally(reason)) {
      tell(listener -> listener.onRejection(reason.kind()));
    }
  }

  /** Waits for a prediction, or throws why there is none. */
  Prediction await(Request request) {
    awaitEnd(request);
    return request.prediction();
  }

  /** Waits for the end of a request; one whose deadline is over ends so. */
  void awaitEnd(Request request) {
    request.awaitEnd();
    if (!request.result().isDone()) {
      reject(request, request.tooLate());
    }
  }

  void computed(int size, long nanos) {
    tell(listener -> listener.onBatch(size, nanos));
  }

  /** One that throws is not to end a thread that others wait for. */
  private void tell(Consumer<PredictorListener> what) {
    for (PredictorListener listener : listeners) {
      try {
        what.accept(listener);
      } catch (RuntimeException e) {
        LOG.warn("A listener of the predictor has failed: {}", e.toString());
      }
    }
  }

  void listen(PredictorListener listener) {
    listeners.add(listener);
  }

  /**
   * Takes other weights from the next batch on, after they have computed the batches of the
   * warm-up. On a platform thread.
   *
   * @param next are the pool's from now on
   * @throws ActclipException what the warm-up throws; bad input, when they are for other samples;
   *     rejected, when it was closed
   */
  void swap(Weights next) {
    try (ForwardPass pass = new ForwardPass(reader, options)) {
      requireAlike(next.preprocessing());
      pass.warmUp(next, options.warmUp());
    } catch (RuntimeException e) {
      next.release();
      throw e;
    }
    Weights unused = replace(next);
    unused.release();
    if (unused == next) {
      throw RequestQueue.closed();
    }
  }

  /** Samples that wait are for either. */
  private void requireAlike(Preprocessing next) {
    if (!next.takesAs(preprocessing())) {
      throw ActclipException.badInput(
          "the new weights are for data like %s, and the old ones for %s: load another predictor",
          next, preprocessing());
    }
  }

  Preprocessing preprocessing() {
    return weights.preprocessing();
  }

  /** Returns what is to be let go: what there was, or the new where it is too late. */
  private synchronized Weights replace(Weights next) {
    if (closed) {
      return next;
    }
    Weights before = weights;
    weights = next;
    return before;
  }

  int waiting() {
    return queue.size();
  }

  /** Of the weights, and of the memory for batches. */
  long nativeBytes() {
    return closed ? 0 : weights.bytes() + inputBytes.sum();
  }

  boolean isClosed() {
    return closed;
  }

  /** Takes no more requests, and waits for the end of those that wait. */
  void close() {
    boolean first = isFirstToClose();
    queue.close();
    ends.forEach(CompletableFuture::join);
    if (first) {
      Uninterrupted.call( // which is not on a virtual thread
          () -> {
            weights.release();
            return null;
          });
    }
  }

  private synchronized boolean isFirstToClose() {
    boolean first = !closed;
    closed = true;
    return first;
  }
}
