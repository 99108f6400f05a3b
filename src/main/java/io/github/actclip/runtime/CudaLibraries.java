package io.github.actclip.runtime;

import java.io.File;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.bytedeco.javacpp.Loader;

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
