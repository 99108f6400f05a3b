package io.github.actclip.data;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * Hands out the batches of one epoch, and prepares the one after on another thread meanwhile. For
 * one consumer thread. Whoever may leave a loop early closes it; else the garbage collector frees
 * what is left, in its own time.
 */
public final class BatchIterator implements Iterator<Batch>, AutoCloseable {

  /** Its threads end when they are idle, and do not keep the JVM alive. */
  private static final ExecutorService WORKERS =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task, "actclip-data");
            thread.setDaemon(true);
            return thread;
          });

  private final int batches;
  private final IntFunction<Supplier<Batch>> prepare;
  private final UnaryOperator<Batch> deliver;

  private int taken;
  private CompletableFuture<Batch> ahead;
  private Batch current;

  /**
   * @param batches how many there are
   * @param prepare takes the number of a batch, on the consumer's thread, and returns what fills it
   *     on a worker thread
   * @param deliver makes of it, on the consumer's thread, what the consumer gets
   */
  BatchIterator(int batches, IntFunction<Supplier<Batch>> prepare, UnaryOperator<Batch> deliver) {
    this.batches = batches;
    this.prepare = prepare;
    this.deliver = deliver;
    this.ahead = batches > 0 ? prepareAhead(0) : null;
  }

  @Override
  public boolean hasNext() {
    if (taken < batches) {
      return true;
    }
    closeCurrent();
    return false;
  }

  @Override
  public Batch next() {
    closeCurrent();
    if (taken == batches) {
      throw new NoSuchElementException("The epoch has " + batches + " batches");
    }
    Batch prepared = join(ahead);
    taken++;
    ahead = taken < batches ? prepareAhead(taken) : null;
    current = deliver.apply(prepared);
    return current;
  }

  /** Closes the current batch and the one after it, and ends the epoch. */
  @Override
  public void close() {
    closeCurrent();
    taken = batches;
    if (ahead != null) {
      ahead.thenAccept(Batch::close); // it may still be in the making
      ahead = null;
    }
  }

  private void closeCurrent() {
    if (current != null) {
      current.close();
      current = null;
    }
  }

  /** What goes wrong is told by the call that asks for that batch. */
  private CompletableFuture<Batch> prepareAhead(int batch) {
    try {
      return CompletableFuture.supplyAsync(prepare.apply(batch), WORKERS);
    } catch (RuntimeException | Error e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static Batch join(CompletableFuture<Batch> prepared) {
    try {
      return prepared.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      // A function of java.util.function throws nothing else.
      throw (RuntimeException) e.getCause();
    }
  }
}
