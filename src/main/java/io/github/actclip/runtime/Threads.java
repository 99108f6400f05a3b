package io.github.actclip.runtime;

import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;

/** The sizes of the thread pools that LibTorch brings; see {@link LibTorch} for the policy. */
final class Threads {

  private static final int DEFAULT_BLAS_THREADS = 1;

  /** More than any machine has; with tens of thousands the process runs out of stacks and dies. */
  private static final int MAX_THREADS = 1024;

  /** The generation that each thread has taken over; none before the first. */
  private static final ThreadLocal<Integer> FOLLOWED = ThreadLocal.withInitial(() -> 0);

  /** How often {@link #setIntraOp} was called, and with what last. */
  private static volatile int generation;

  private static int intraOp;

  private Threads() {}

  /** Sizes both pools; LibTorch must be loaded. */
  static void applyPolicy() {
    int chosenByLibTorch = torch.get_num_threads();
    int processors = Runtime.getRuntime().availableProcessors();
    int fallback = Math.min(chosenByLibTorch, processors);
    torch.set_num_threads(property(LibTorch.THREADS_PROPERTY, fallback));
    setBlas(property(LibTorch.BLAS_THREADS_PROPERTY, DEFAULT_BLAS_THREADS));
  }

  /**
   * The presets of OpenBLAS load one file under two names, which makes two libraries, each with
   * threads of its own. They reach one of them, which need not be the one that LibTorch calls; the
   * kernels' library reaches all.
   */
  private static void setBlas(int threads) {
    openblas_nolapack.blas_set_num_threads(threads);
    if (KernelLibrary.whyNotThere().isEmpty()) {
      KernelLibrary.setBlasThreads(threads);
    }
  }

  static void setIntraOp(int threads) {
    if (threads < 1 || threads > MAX_THREADS) {
      throw ActclipException.badInput("threads (%d) must be 1 to %d", threads, MAX_THREADS);
    }
    synchronized (Threads.class) {
      intraOp = threads;
      generation++;
    }
    follow();
  }

  /**
   * LibTorch sets the number of the calling thread, and of those that have not used it yet. All
   * others take it over here: once, so that a thread for which LibTorch's own is set afterwards
   * keeps that.
   */
  static void follow() {
    if (generation != 0 && generation != FOLLOWED.get()) {
      takeOver();
    }
  }

  private static synchronized void takeOver() {
    FOLLOWED.set(generation);
    torch.set_num_threads(intraOp);
  }

  static int blas() {
    return KernelLibrary.whyNotThere().isEmpty()
        ? KernelLibrary.mostBlasThreads()
        : openblas_nolapack.blas_get_num_threads();
  }

  private static int property(String name, int fallback) {
    String value = System.getProperty(name);
    if (value == null) {
      return fallback;
    }
    try {
      int threads = Integer.parseInt(value.trim());
      if (threads >= 1 && threads <= MAX_THREADS) {
        return threads;
      }
    } catch (NumberFormatException e) {
      // Said below, as for a number that is out of range.
    }
    throw ActclipException.badInput(
        "the system property %s (%s) must be a whole number from 1 to %d",
        name, value, MAX_THREADS);
  }
}
