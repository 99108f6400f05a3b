package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class ActivationMonitorTest {

  static {
    LibTorch.load();
  }

  /** A float32 that counts by ones stays at 2^24, and each thread of LibTorch's histc has one. */
  @Test
  void countsMoreThanFloat32Does() {
    long elements = (1L << 24) + 5;
    int threads = torch.get_num_threads();
    torch.set_num_threads(1);
    try {
      TensorScope.run(
          () -> {
            ActivationMonitor monitor = new ActivationMonitor();
            monitor.observe(torch.zeros(1).add(new Scalar(0.25)).expand(elements), torch.ones(1));
            Tensor parameter = torch.ones(1);
            assertEquals(
                elements, monitor.last(parameter).orElseThrow().histogram().get(2).longValue());
          });
    } finally {
      torch.set_num_threads(threads);
    }
  }
}
