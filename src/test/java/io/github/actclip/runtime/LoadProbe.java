package io.github.actclip.runtime;

import io.github.actclip.nn.models.Net;
import java.io.IOException;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Loads LibTorch as a user does, computes something, and prints it or the exception's sentence. */
final class LoadProbe {

  /** Which call comes first: each of them must load LibTorch, or refuse, in the same way. */
  static final String FIRST_PROPERTY = "probe.first";

  /** Whether the thread is interrupted before that call. */
  static final String INTERRUPTED_PROPERTY = "probe.interrupted";

  /** Whether a call that is refused is made again, when files may have any size. */
  static final String AGAIN_PROPERTY = "probe.again";

  private LoadProbe() {}

  /** Makes that call. */
  static void first(String call) {
    switch (call) {
      case "load" -> LibTorch.load();
      case "auto" -> Devices.auto();
      case "of" -> Devices.of("cpu");
      case "scope" -> new TensorScope().close();
      case "info" -> RuntimeInfo.current();
      case "threads" -> LibTorch.threads();
      case "net" -> new Net();
      default -> throw new IllegalArgumentException(call);
    }
  }

  private static void again(String call) throws IOException {
    try {
      first(call);
    } catch (ActclipException e) {
      System.out.println("at first: " + e.getMessage());
      String process = String.valueOf(ProcessHandle.current().pid());
      new ProcessBuilder("prlimit", "--pid", process, "--fsize=unlimited").start().onExit().join();
      first(call);
    }
  }

  public static void main(String[] args) throws IOException {
    String call = System.getProperty(FIRST_PROPERTY, "load");
    if (Boolean.getBoolean(INTERRUPTED_PROPERTY)) {
      Thread.currentThread().interrupt();
    }
    try {
      if (Boolean.getBoolean(AGAIN_PROPERTY)) {
        again(call);
      } else {
        first(call);
      }
      System.out.println("interrupted " + Thread.currentThread().isInterrupted());
      try (Tensor sum = torch.ones(1000).sum()) {
        System.out.println("sum " + sum.item_float());
      }
      RuntimeInfo info = RuntimeInfo.current();
      System.out.println("threads " + info.threads() + " blas " + info.blasThreads());
      System.out.println("kernels: " + KernelLibrary.whyNotLoaded());
      System.out.println("memory limit " + Pointer.maxPhysicalBytes());
    } catch (ActclipException e) {
      System.out.println("refused: " + e.getMessage());
    }
  }
}
