package io.github.actclip.runtime;

import io.github.actclip.nn.Net;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Loads LibTorch as a user does, computes something, and prints it or the exception's sentence. */
final class LoadProbe {

  /** Which call comes first: each of them must load LibTorch, or refuse, in the same way. */
  static final String FIRST_PROPERTY = "probe.first";

  private LoadProbe() {}

  private static void first(String call) {
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

  public static void main(String[] args) {
    try {
      first(System.getProperty(FIRST_PROPERTY, "load"));
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
