package io.github.actclip.runtime;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Loads LibTorch as a user does, computes something, and prints it or the exception's sentence. */
final class LoadProbe {

  private LoadProbe() {}

  public static void main(String[] args) {
    try {
      LibTorch.load();
      try (Tensor sum = torch.ones(1000).sum()) {
        System.out.println("sum " + sum.item_float());
      }
      RuntimeInfo info = RuntimeInfo.current();
      System.out.println("threads " + info.threads() + " blas " + info.blasThreads());
    } catch (ActclipException e) {
      System.out.println("refused: " + e.getMessage());
    }
  }
}
