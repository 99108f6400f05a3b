package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;

/**
 * Hands out the batches of one epoch, and prepares the one after on another thread meanwhile. For
 * one consumer thread. Whoever may leave a loop early closes it; else the garbage collector frees
 * what is left, in its own time.
 */
public final class BatchIterator implements Iterator<Batch>, AutoCloseable {

  private final int batches;
  private final IntFunction<Batch> prepare;
  private final UnaryOperator<Batch> deliver;

  private final ExecutorService worker = Workers.take();

  private int taken;
  private CompletableFuture<Batch> ahead;
  private Batch current;

  /**
   * @param batches how many there are
   * @param prepare makes the batch of a number, on the worker's thread
   * @param deliver makes of it, on the consumer's thread, what the consumer gets
   */
  BatchIterator(int batches, IntFunction<Batch> prepare, UnaryOperator<Batch> deliver) {
    this.batches = batches;
    this.prepare = prepare;
    this.deliver = deliver;
    prepareAhead();
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
    prepareAhead();
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
      ahead.whenComplete((batch, error) -> Workers.giveBack(worker));
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
  private void prepareAhead() {
    if (taken < batches) {
      int batch = taken;
      ahead = CompletableFuture.supplyAsync(() -> prepare.apply(batch), worker);
    } else {
      ahead = null;
      Workers.giveBack(worker);
    }
  }

  private static Batch join(CompletableFuture<Batch> prepared) {
    try {
      return prepared.join();
    } catch (CompletionException e) {
      Throwable cause = e.getCause();
      if (cause instanceof Error error) {
        throw error;
      }
      if (cause instanceof RuntimeException exception) {
        throw exception;
      }
      throw ActclipException.failure(cause, "A batch could not be made: %s", cause); // of Kotlin's
    }
  }
}
