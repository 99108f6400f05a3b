package io.github.actclip.runtime;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/** Does what an interrupt would spoil. */
@Internal
public final class Uninterrupted {

  private Uninterrupted() {}

  /**
   * Does it on a thread of its own, which nobody knows to interrupt, and waits for its end. A
   * caller that is interrupted, before or meanwhile, is so afterwards.
   *
   * @return what {@code task} returns; what it throws is thrown
   */
  public static <T> T call(Supplier<T> task) {
    try {
      return CompletableFuture.supplyAsync(task, Uninterrupted::start).join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw (RuntimeException) e.getCause();
    }
  }

  /** Likewise, for what returns nothing. */
  static void run(Runnable task) {
    call(
        () -> {
          task.run();
          return null;
        });
  }

  private static void start(Runnable task) {
    Thread thread = new Thread(task, "actclip: starting");
    thread.setDaemon(true);
    thread.start();
  }
}
