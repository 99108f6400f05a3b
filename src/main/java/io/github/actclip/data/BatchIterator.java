package io.github.actclip.data;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;

/**
 * Hands out the batches of one epoch, and prepares the one after on another thread meanwhile. For
 * one consumer thread.
 */
final class BatchIterator implements Iterator<Batch> {

  /** Its threads end when they are idle, and do not keep the JVM alive. */
  private static final ExecutorService WORKERS =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task, "actclip-data");
            thread.setDaemon(true);
            return thread;
          });

  private final int batches;
  private final IntFunction<Batch> prepare;
  private final UnaryOperator<Batch> deliver;

  private int next;
  private CompletableFuture<Batch> ahead;
  private Batch current;

  /**
   * @param first the number of the first to hand out; {@code batches} for none
   * @param batches how many there are in the epoch
   * @param prepare makes a batch from its number, on a worker thread
   * @param deliver makes of it, on the consumer's thread, what the consumer gets
   */
  BatchIterator(int first, int batches, IntFunction<Batch> prepare, UnaryOperator<Batch> deliver) {
    this.next = first;
    this.batches = batches;
    this.prepare = prepare;
    this.deliver = deliver;
    this.ahead = prepareAhead();
  }

  @Override
  public boolean hasNext() {
    if (next < batches) {
      return true;
    }
    closeCurrent();
    return false;
  }

  @Override
  public Batch next() {
    closeCurrent();
    if (next == batches) {
      throw new NoSuchElementException("The epoch has " + batches + " batches");
    }
    Batch prepared = join(ahead);
    next++;
    ahead = prepareAhead();
    current = deliver.apply(prepared);
    return current;
  }

  private void closeCurrent() {
    if (current != null) {
      current.close();
      current = null;
    }
  }

  private CompletableFuture<Batch> prepareAhead() {
    int number = next;
    return number < batches
        ? CompletableFuture.supplyAsync(() -> prepare.apply(number), WORKERS)
        : null;
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
