package io.github.actclip.runtime;

import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;
import org.apache.logging.log4j.Logger;

/**
 * Loads this library's own native kernels, which put operations into LibTorch's dispatcher.
 *
 * <p>Not having them is no error: nothing here throws for it, and the reason can be asked for.
 *
 * <p>Thread-safe.
 */
public final class KernelLibrary {

  /**
   * System property: which backend computes clips, {@code native} or {@code composed}; without it,
   * native where it can be had. Who asks for the composed one does not get the kernels loaded.
   */
  public static final String BACKEND_PROPERTY = "actclip.backend";

  /** By which a user tunes malloc: it is then left alone. */
  private static final List<String> MALLOC_VARIABLES =
      List.of(
          "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES");

  private static final Predicate<String> SET_BY_USER = name -> System.getenv(name) != null;

  private static final Logger LOG = Loggers.of(KernelLibrary.class);

  private KernelLibrary() {}

  /**
   * Loads the kernels for the CPU, once, unless {@link #BACKEND_PROPERTY} asks for none: {@link
   * LibTorch#load} does so, too.
   *
   * @return why they cannot be used, in one clause; empty when they are loaded
   * @throws ActclipException when LibTorch itself cannot be loaded
   */
  public static String whyNotLoaded() {
    LibTorch.load();
    return whyNotThere();
  }

  /** The same, asked while LibTorch's threads are set, after its libraries were loaded. */
  static String whyNotThere() {
    return "composed".equals(System.getProperty(BACKEND_PROPERTY))
        ? BACKEND_PROPERTY + " is composed"
        : Cpu.WHY_NOT_LOADED;
  }

  /**
   * Loads the kernels for CUDA, once.
   *
   * @return why they cannot be used, in one clause; empty when they are loaded
   * @throws ActclipException when LibTorch itself cannot be loaded
   */
  public static String whyNotLoadedForCuda() {
    String reason = Devices.whyNoCuda();
    if (reason.isEmpty()) {
      reason = whyNotLoaded(); // It declares the operations that both implement.
    }
    return reason.isEmpty() ? Cuda.WHY_NOT_LOADED : reason;
  }

  /**
   * Gives the freed memory that malloc was told to keep, and {@link LargeTensors} kept, back to the
   * system: what an application calls that has done its work with a network and goes on with other
   * things. A {@code Trainer} does at its end. That is the whole process's: a training that goes on
   * meanwhile gets its pages anew. To be called on the thread that ran the steps: what lies at the
   * end of another thread's memory stays. Takes milliseconds.
   *
   * @throws ActclipException when LibTorch itself cannot be loaded
   */
  public static void releaseFreedMemory() {
    if (keepsMemory()) {
      LargeTensors.release();
      trimFreedMemory();
    }
  }

  static boolean keepsMemory() {
    return whyNotLoaded().isEmpty() && Cpu.KEEPS_MEMORY;
  }

  /** Initialised at the first question, by one thread. */
  private static final class Cpu {
    static final String WHY_NOT_LOADED = load("actclip");
    static final boolean KEEPS_MEMORY =
        WHY_NOT_LOADED.isEmpty() && MALLOC_VARIABLES.stream().noneMatch(SET_BY_USER);

    static {
      if (KEEPS_MEMORY) {
        keepFreedMemory();
      }
    }
  }

  private static final class Cuda {
    static final String WHY_NOT_LOADED = load("actclip_cuda");
  }

  /**
   * Lets malloc keep 128 MiB of what is freed, in blocks of up to 32 MiB, and the heaps that they
   * are in. By default it gives a step's activations back to the system when the step frees them,
   * and the system clears new pages for the next step: that takes longer than the clip itself.
   */
  private static native void keepFreedMemory();

  private static native void trimFreedMemory();

  /** Of every OpenBLAS in the process. */
  static native void setBlasThreads(int threads);

  /** The most that an OpenBLAS in the process has; 0 when there is none. */
  static native int mostBlasThreads();

  /** Loads one library; returns why that cannot be done, or nothing. */
  static String load(String name) {
    String file = System.mapLibraryName(name);
    URL packed = KernelLibrary.class.getResource(LibTorch.platform() + "/" + file);
    if (packed == null) {
      return "actclip was built without " + file + " for " + LibTorch.platform();
    }
    Path cache = NativeLibraries.cacheFolder().toPath();
    try {
      Path unpacked = unpack(packed, file, cache);
      System.load(unpacked.toString());
      LOG.debug("Loaded {}", unpacked);
      return "";
    } catch (ActclipException e) {
      return e.getMessage();
    } catch (IOException e) {
      return file + " cannot be unpacked into " + cache + " (" + e + ")";
    } catch (UnsatisfiedLinkError e) {
      return file + " cannot be loaded (" + ActclipException.firstLine(e) + ")";
    }
  }

  /**
   * JavaCPP's cache tells a new library from an old one by its size and time, and in our jars the
   * time is always the same. Here the folder is named after the content, and the file gets its name
   * when it is whole, so that several processes may start at once.
   */
  static Path unpack(URL packed, String file, Path cache) throws IOException {
    byte[] content = Resources.read(packed);
    Path folder = cache.resolve("actclip").resolve(UUID.nameUUIDFromBytes(content).toString());
    Path library = folder.resolve(file);
    if (!Files.exists(library)) {
      Files.createDirectories(folder);
      Path part = folder.resolve(UUID.randomUUID() + ".part");
      try {
        Files.write(part, content);
        Files.move(part, library, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(part);
      }
    }
    return library;
  }
}
