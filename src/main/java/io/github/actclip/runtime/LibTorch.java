package io.github.actclip.runtime;

import java.util.List;
import org.apache.logging.log4j.Logger;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;

/**
 * The one place that loads LibTorch and sets its thread pools.
 *
 * <p>Call {@link #load} (or anything else in this package) before the first use of a class of
 * {@code org.bytedeco.pytorch}. Those classes, and with them every module that extends {@link
 * org.bytedeco.pytorch.Module}, load LibTorch by themselves when they are first used, and on a
 * machine that has another LibTorch on its library path this kills the JVM as long as JavaCPP's
 * cache is empty. Loading it here does not.
 *
 * <p>Threads are set once, after loading:
 *
 * <ul>
 *   <li>LibTorch's own pool (OpenMP): the system property {@value #THREADS_PROPERTY}, or else what
 *       LibTorch chose, but no more than {@link Runtime#availableProcessors}, which knows the
 *       limits of a container where OpenMP does not;
 *   <li>OpenBLAS's pool: the system property {@value #BLAS_THREADS_PROPERTY}, or else 1. OpenBLAS
 *       keeps spinning threads of its own beside OpenMP's, which slows a training step down by a
 *       factor of four to five. An application whose time goes into large matrix products, not
 *       convolutions, may want more. JavaCPP's presets load OpenBLAS twice: with this library's
 *       kernels every {@code libopenblas} in the process is set, without them one.
 * </ul>
 *
 * <p>The kernels for the CPU are loaded with it, see {@link KernelLibrary}.
 *
 * <p>JavaCPP's limit on the memory of the process is lifted, unless its system property {@code
 * org.bytedeco.javacpp.maxPhysicalBytes} sets one.
 *
 * <p>Thread-safe, on platform threads. What LibTorch sets for a thread, such as {@link
 * TensorScope#noGrad}, it sets for a native thread, which a virtual thread leaves whenever it
 * waits. So on a virtual thread {@link #load} throws an {@link ActclipException}, and with it all
 * that calls it, such as every {@link TensorScope}.
 */
public final class LibTorch {

  /** System property: the number of threads of one LibTorch operation. */
  public static final String THREADS_PROPERTY = "actclip.threads";

  /** System property: the number of threads of OpenBLAS. */
  public static final String BLAS_THREADS_PROPERTY = "actclip.blas.threads";

  private static final List<String> MEMORY_LIMIT_PROPERTIES =
      List.of("org.bytedeco.javacpp.maxPhysicalBytes", "org.bytedeco.javacpp.maxphysicalbytes");

  private static final Logger LOG = Loggers.of(LibTorch.class);

  private static volatile boolean loaded;

  private LibTorch() {}

  /**
   * Loads LibTorch, once; later calls return at once. An interrupt of the calling thread does no
   * harm to it, and is still there afterwards.
   *
   * @throws ActclipException when there are no natives for this platform, when they cannot be
   *     unpacked or loaded, when the process has another LibTorch, or when a thread property is not
   *     a whole number from 1 to 1024. A later call tries again; it throws the same where the
   *     system refused a library. Also on a virtual thread.
   */
  public static void load() {
    VirtualThreads.refuse();
    if (!loaded) {
      loadOnce();
    }
    Threads.follow();
  }

  private static synchronized void loadOnce() {
    if (loaded) {
      return;
    }
    liftMemoryLimit();
    Uninterrupted.run(NativeLibraries::load);
    Threads.applyPolicy();
    loaded = true;
    LOG.debug("Loaded LibTorch: {}", RuntimeInfo::current);
  }

  /**
   * Sets how many threads one LibTorch operation uses, for the whole process: on this thread at
   * once, on each other thread when it next calls something of this library. (A thread that calls
   * nothing but LibTorch keeps the number that LibTorch had when the thread first used it.)
   *
   * @throws ActclipException when {@code threads} is not 1 to 1024
   */
  public static void setThreads(int threads) {
    load();
    Threads.setIntraOp(threads);
  }

  /** How many threads one LibTorch operation uses. */
  public static int threads() {
    load();
    return torch.get_num_threads();
  }

  /**
   * JavaCPP limits the memory of the process to four times the heap, and to know it asks the
   * operating system at every native object it makes: 2.7 µs each, a third or more of the time that
   * an operation on a small tensor takes. It reads the property once, so this comes before loading.
   */
  private static void liftMemoryLimit() {
    if (MEMORY_LIMIT_PROPERTIES.stream().allMatch(name -> System.getProperty(name) == null)) {
      System.setProperty(MEMORY_LIMIT_PROPERTIES.get(0), "0");
    }
  }

  /** The platform that JavaCPP found, such as {@code linux-x86_64}; loads nothing. */
  static String platform() {
    return Loader.getPlatform();
  }
}
