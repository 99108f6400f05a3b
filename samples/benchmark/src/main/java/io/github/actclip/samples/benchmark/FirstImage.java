package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Ours among those who have to start and to recognise one image. */
final class FirstImage {

  private FirstImage() {}

  /** Takes what the others take, of which only the threads matter. */
  public static void main(String[] args) {
    LibTorch.setThreads(Integer.parseInt(args[2]));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Net net = new Net();
      Tensor image = torch.randn(1, 3, 32, 32).contiguous(Net.MEMORY_FORMAT);
      Passes.serve("actclip, first image", () -> TensorScope.run(() -> net.forward(image)));
    }
  }
}
