package io.github.actclip.data;

import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Threads that make batches: each iterator has one for itself, and the next one takes it over. What
 * malloc keeps of freed memory it keeps for the thread that asked for it, so memory would grow
 * where now one thread made a batch and now another. Thread-safe.
 */
final class Workers {

  private static final long IDLE_SECONDS = 1;

  /** The one used last is the first. */
  private static final Deque<ExecutorService> FREE = new ConcurrentLinkedDeque<>();

  private Workers() {}

  /** One that nobody else has until it is given back; one that is forgotten harms nobody. */
  static ExecutorService take() {
    ExecutorService free = FREE.poll();
    return free == null ? make() : free;
  }

  static void giveBack(ExecutorService worker) {
    FREE.push(worker);
  }

  /** Its thread ends when it is idle, and does not keep the JVM alive. */
  private static ExecutorService make() {
    ThreadPoolExecutor worker =
        new ThreadPoolExecutor(
            1,
            1,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "actclip-data");
              thread.setDaemon(true);
              return thread;
            });
    worker.allowCoreThreadTimeOut(true);
    return worker;
  }
}
