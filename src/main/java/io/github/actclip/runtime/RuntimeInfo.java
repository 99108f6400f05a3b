package io.github.actclip.runtime;

import java.io.IOException;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.pytorch.global.torch;

/**
 * What a program runs on.
 *
 * @param actclip the version of this library, or "development" outside of its jar
 * @param pytorch the version of the JavaCPP presets: LibTorch's, then JavaCPP's
 * @param java the version and vendor of the JVM
 * @param platform JavaCPP's name of the platform, such as {@code linux-x86_64}
 * @param cpu the vector instructions that LibTorch's kernels use, such as {@code AVX512}
 * @param cuda the number of usable CUDA devices, or why there is none
 * @param threads how many threads one LibTorch operation uses
 * @param blasThreads how many threads OpenBLAS uses
 * @param cacheFolder where native libraries are unpacked
 */
public record RuntimeInfo(
    String actclip,
    String pytorch,
    String java,
    String platform,
    String cpu,
    String cuda,
    int threads,
    int blasThreads,
    String cacheFolder) {

  /** Asks the running process; loads LibTorch. */
  public static RuntimeInfo current() {
    LibTorch.load();
    return new RuntimeInfo(
        actclipVersion(),
        pytorchVersion(),
        System.getProperty("java.version") + " (" + System.getProperty("java.vendor") + ")",
        LibTorch.platform(),
        cpuCapability(),
        describeCuda(),
        torch.get_num_threads(),
        Threads.blas(),
        NativeLibraries.cacheFolder().toString());
  }

  /** {@link #actclip}, without loading anything. */
  public static String actclipVersion() {
    String version = RuntimeInfo.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  /** {@link #pytorch}, without loading it. */
  public static String pytorchVersion() {
    try {
      return Loader.getVersion("org.bytedeco", "pytorch", torch.class);
    } catch (IOException e) {
      return "unknown";
    }
  }

  private static String cpuCapability() {
    try (var text = torch.get_cpu_capability()) {
      return text.getString();
    }
  }

  private static String describeCuda() {
    String reason = Devices.whyNoCuda();
    return reason.isEmpty() ? torch.cuda_device_count() + " device(s)" : "none: " + reason;
  }
}
