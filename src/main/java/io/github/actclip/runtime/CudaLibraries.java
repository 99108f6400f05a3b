package io.github.actclip.runtime;

import java.io.File;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.ClassProperties;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;

/**
 * Looks for the libraries of CUDA that LibTorch's CUDA build is linked against (Linux), before it
 * is loaded: loading it without them kills the JVM.
 */
final class CudaLibraries {

  /** What {@code libtorch_cuda.so} and its companions name as needed, and who provides it. */
  private static final Map<String, String> NEEDED = new LinkedHashMap<>();

  static {
    NEEDED.put("libcudart.so.13", "CUDA 13");
    NEEDED.put("libcupti.so.13", "CUDA 13");
    NEEDED.put("libcublasLt.so.13", "cuBLAS of CUDA 13");
    NEEDED.put("libcublas.so.13", "cuBLAS of CUDA 13");
    NEEDED.put("libcufft.so.12", "cuFFT of CUDA 13");
    NEEDED.put("libcurand.so.10", "cuRAND of CUDA 13");
    NEEDED.put("libnvJitLink.so.13", "CUDA 13");
    NEEDED.put("libcusparse.so.12", "cuSPARSE of CUDA 13");
    NEEDED.put("libcusolver.so.12", "cuSOLVER of CUDA 13");
    NEEDED.put("libcufile.so.0", "cuFile of CUDA 13");
    NEEDED.put("libcudnn.so.9", "cuDNN 9");
    NEEDED.put("libnccl.so.2", "NCCL 2");
  }

  /** Where the presets look beside the system's library path. */
  private static final List<String> FOLDERS =
      List.of("/usr/local/cuda-13.1/lib64", "/usr/local/cuda/lib64", "/usr/lib64");

  /** What the presets of CUDA and of TensorRT bring, for others in this JVM. */
  private static final List<String> JNI_LIBRARIES =
      List.of("cuda jnicudart", "tensorrt jninvinfer");

  private CudaLibraries() {}

  /** Throws one sentence that names all that is missing; other systems than Linux pass. */
  static void requireAll() {
    if (!LibTorch.platform().startsWith("linux")) {
      return;
    }
    List<String> missing = new ArrayList<>();
    TreeSet<String> packages = new TreeSet<>();
    NEEDED.forEach(
        (library, provider) -> {
          if (!isThere(library)) {
            missing.add(library);
            packages.add(provider);
          }
        });
    if (!missing.isEmpty()) {
      throw ActclipException.failure(
          null,
          "LibTorch's CUDA build cannot be loaded, because this machine lacks %s: install %s,"
              + " or take the CPU build",
          String.join(", ", missing),
          String.join(", ", packages));
    }
  }

  /**
   * JavaCPP would look for each of CUDA's thirty libraries in every jar, on the CPU, too: that
   * takes as long as to load LibTorch. What it has looked for once it does not look for again; so
   * it looks for them as for those of its own class {@link Pointer}, which has fewer places.
   *
   * @param isCuda which of the libraries that the presets name they are
   */
  static void lookBriefly(ClassProperties presets, Predicate<String> isCuda) {
    if (JNI_LIBRARIES.stream().anyMatch(CudaLibraries::isOnClassPath)) {
      return; // Somebody else in this JVM needs them, and they have to be found.
    }
    Properties places = new Properties();
    places.putAll(Loader.loadProperties());
    places.put(
        "platform.preloadpath",
        String.join(File.pathSeparator, presets.get("platform.preloadpath")));
    places.put(
        "platform.preload",
        presets.get("platform.preload").stream()
            .filter(isCuda)
            .collect(Collectors.joining(File.pathSeparator)));
    Loader.load(Pointer.class, places, false);
  }

  private static boolean isOnClassPath(String presetsAndName) {
    String[] words = presetsAndName.split(" ");
    return UnpackedLibraries.jniLibrary(words[0], "", words[1]) != null;
  }

  /** Whether the driver of an NVIDIA GPU is installed. */
  static boolean isDriverThere() {
    return opens("libcuda.so.1");
  }

  private static boolean isThere(String library) {
    String resource = "/org/bytedeco/cuda/" + LibTorch.platform() + "/" + library;
    return CudaLibraries.class.getResource(resource) != null
        || FOLDERS.stream().anyMatch(folder -> new File(folder, library).exists())
        || opens(library);
  }

  /** Asks the system's loader, which knows its own search path best. */
  private static boolean opens(String library) {
    try {
      Loader.loadGlobal(library);
      return true;
    } catch (UnsatisfiedLinkError e) {
      return false;
    }
  }
}
