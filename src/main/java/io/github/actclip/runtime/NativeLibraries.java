package io.github.actclip.runtime;

import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.apache.logging.log4j.Logger;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;

/**
 * Finds, unpacks and loads the native libraries of LibTorch.
 *
 * <p>JavaCPP unpacks a library right before it loads it, and loads {@code libtorch.so} before the
 * {@code libtorch_cpu.so} that it needs: the system's loader may then take another LibTorch's from
 * its own path, and the process dies. Here everything is unpacked before anything is loaded, and
 * loaded in the order of need.
 */
final class NativeLibraries {

  private static final List<String> CACHE_PROPERTIES =
      List.of("org.bytedeco.javacpp.cachedir", "org.bytedeco.javacpp.cacheDir");
  private static final String GPU_EXTENSION = "-gpu";

  /** What marks a library of the system's, which JavaCPP does not look for there. */
  private static final String SYSTEM_LIBRARY = "#";

  private static final String OPENMP = "gomp@.1";

  private static final List<String> LIBTORCH_IN_ORDER =
      List.of("c10", "torch_cpu", "c10_cuda", "torch_cuda", "torch");

  private static final List<String> OF_CUDA_ALONE = List.of("c10_cuda", "torch_cuda");

  /**
   * A string that is one object in all class loaders: a file can be locked once in a JVM, and who
   * tries a second time does not wait.
   */
  private static final String LOCK_OF_THE_JVM = "io.github.actclip.runtime.NativeLibraries";

  private static final Logger LOG = Loggers.of(NativeLibraries.class);

  private static ActclipException refused;

  private NativeLibraries() {}

  /**
   * Loads them. To be called on a thread that nobody interrupts: an interrupt closes the channels
   * by which files are locked, JavaCPP's too, which then goes on with half of its work done.
   *
   * @throws ActclipException when that cannot be done. A later call tries again, unless libraries
   *     were refused by the system: the JVM does not try their classes a second time.
   */
  static void load() {
    if (refused != null) {
      throw refused;
    }
    URL jniLibrary = findJniLibrary();
    if (areForCuda()) {
      CudaLibraries.requireAll();
    }
    File cache = cacheFolder();
    synchronized (LOCK_OF_THE_JVM) {
      try (FileChannel lockFile = openLockFile(cache)) {
        lockFile.lock(); // Other processes wait; closing the channel releases it.
        OtherLibTorch.requireNoneLoaded(UnpackedLibraries.folderOf(jniLibrary));
        UnpackedLibraries.unpackFor(jniLibrary);
        loadFrom(cache);
      } catch (IOException e) {
        throw ActclipException.failure(
            e,
            "LibTorch's native libraries cannot be unpacked into %s (%s): they need 460 MB there"
                + " (1 GB with CUDA), or set -D%s to a folder that has room",
            cache,
            e,
            CACHE_PROPERTIES.get(0));
      }
    }
  }

  /** Whether the natives on the class path are LibTorch's CUDA build. */
  static boolean areForCuda() {
    return jniLibrary(GPU_EXTENSION) != null;
  }

  /** JavaCPP's cache: where natives are unpacked. It stays the same once it was asked for. */
  static File cacheFolder() {
    try {
      return Loader.getCacheDir();
    } catch (IOException e) {
      throw ActclipException.failure(
          e,
          "no folder to unpack native libraries into (tried %s and %s):"
              + " set -D%s to one that can be written",
          Path.of(System.getProperty("user.home"), ".javacpp", "cache"),
          System.getProperty("java.io.tmpdir"),
          CACHE_PROPERTIES.get(0));
    }
  }

  /** JavaCPP falls back to another folder in silence; who names one wants that one. */
  private static void requireWanted(File cache) throws IOException {
    for (String property : CACHE_PROPERTIES) {
      String wanted = System.getProperty(property);
      if (wanted != null && !FilePath.of(wanted).toFile().getCanonicalFile().equals(cache)) {
        throw ActclipException.failure(
            null,
            "the cache folder %s (-D%s) cannot be created or written: name a folder that can",
            wanted,
            property);
      }
    }
  }

  private static URL findJniLibrary() {
    URL cpu = jniLibrary("");
    URL gpu = jniLibrary(GPU_EXTENSION);
    if (cpu == null && gpu == null) {
      throw ActclipException.failure(
          null,
          "no native libraries of LibTorch for the platform %s are on the class path:"
              + " actclip runs on linux-x86_64, macosx-arm64 and windows-x86_64, with"
              + " org.bytedeco:pytorch of that classifier",
          LibTorch.platform());
    }
    if (cpu != null && gpu != null) {
      throw ActclipException.failure(
          null,
          "both the CPU and the CUDA natives of LibTorch are on the class path (%s and %s):"
              + " remove one",
          cpu,
          gpu);
    }
    return cpu != null ? cpu : gpu;
  }

  private static URL jniLibrary(String extension) {
    return UnpackedLibraries.jniLibrary("pytorch", extension, "jnitorch");
  }

  private static FileChannel openLockFile(File cache) throws IOException {
    requireWanted(cache);
    return FileChannel.open(
        new File(cache, ".actclip.lock").toPath(),
        StandardOpenOption.CREATE,
        StandardOpenOption.WRITE);
  }

  private static void loadFrom(File cache) {
    try {
      if (LibTorch.platform().startsWith("linux")) {
        loadInOrder();
      }
      Loader.load(torch.class);
      Loader.load(openblas_nolapack.class);
    } catch (LinkageError e) {
      refused =
          ActclipException.failure(
              e,
              "LibTorch's native libraries for %s cannot be loaded from %s (%s);"
                  + " if a file there is damaged, delete that folder",
              LibTorch.platform(),
              cache,
              rootMessage(e));
      throw refused;
    }
  }

  /**
   * Loads the libraries that the presets name, each after those that it needs. One that is loaded
   * already is not looked for again, not even on {@code LD_LIBRARY_PATH}, which comes before the
   * folder that a library is in.
   */
  private static void loadInOrder() {
    Loader.load(openblas.class);
    ClassProperties presets = Loader.loadProperties(torch.class, Loader.loadProperties(), true);
    boolean forCuda = areForCuda();
    List<String> cuda = forCuda ? presets.get("platform.preload") : List.of();
    cuda.stream()
        .filter(library -> !isOurs(library))
        .forEach(library -> loadIfThere(presets, library));
    loadIfThere(presets, OPENMP);
    LIBTORCH_IN_ORDER.stream()
        .filter(library -> forCuda || !OF_CUDA_ALONE.contains(library))
        .filter(library -> !loadIfThere(presets, library))
        .forEach(OtherLibTorch::requireNoneInPlaceOf);
    if (!forCuda) {
      CudaLibraries.lookBriefly(
          presets, library -> !isOurs(library) || OF_CUDA_ALONE.contains(library));
    }
  }

  private static boolean isOurs(String library) {
    return library.equals(OPENMP) || LIBTORCH_IN_ORDER.contains(library);
  }

  /**
   * Whether it is loaded; some are optional, and if this one is not, loading LibTorch says so. The
   * mark behind the name keeps JavaCPP from taking the system's when its own cannot be loaded.
   */
  private static boolean loadIfThere(ClassProperties presets, String library) {
    URL[] found = Loader.findLibrary(torch.class, presets, library);
    boolean loaded =
        found.length > 0
            && Loader.loadLibrary(torch.class, found, library + SYSTEM_LIBRARY) != null;
    LOG.debug("{}: {}", library, loaded ? "loaded" : "not loaded");
    return loaded;
  }

  private static String rootMessage(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return ActclipException.firstLine(root);
  }
}
