package io.github.actclip.samples.cli;

import java.util.concurrent.CountDownLatch;

/**
 * Ctrl-C and SIGTERM: asks the work to stop, and keeps the JVM alive until it has saved what it
 * has.
 */
final class Interrupt {

  private static final CountDownLatch DONE = new CountDownLatch(1);
  private static volatile boolean shuttingDown;

  private Interrupt() {}

  /** From now on a signal calls {@code stop}, then waits for {@link #exit}. */
  static void onSignal(Runnable stop) {
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  shuttingDown = true;
                  stop.run();
                  awaitExit();
                },
                "interrupt"));
  }

  /**
   * Ends the process with that status. After a signal the JVM is already on its way out, with the
   * signal's own status (130 for Ctrl-C), and this only lets it go.
   */
  static void exit(int status) {
    DONE.countDown();
    if (!shuttingDown) {
      System.exit(status);
    }
  }

  private static void awaitExit() {
    try {
      DONE.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
