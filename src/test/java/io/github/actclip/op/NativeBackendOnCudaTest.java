package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.Devices;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Cuda;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The kernels for CUDA, where there is a GPU. */
class NativeBackendOnCudaTest extends ClipBackendContract {

  private final ClipBackend kernels = new NativeBackend();

  @BeforeEach
  void needCuda() {
    NativeBackendTest.assumeKernels();
    Cuda.assumeAvailable();
  }

  @Override
  ClipBackend backend() {
    return kernels;
  }

  @Override
  String device() {
    return "cuda";
  }

  /** Two units in the last place; float64 is summed in float64. */
  @Override
  double tolerance(ScalarType of, ScalarType type, double sum, double absolute) {
    return 2 * Ulp.of(type, sum) + 1e-14 * absolute;
  }

  @Test
  void theyAreInUse() {
    String description = Backends.chosen().description();
    assertTrue(description.endsWith(", CUDA)"), description);
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void sumsHaveTheSameBitsEachTime(ScalarType type) {
    Device cuda = Devices.of("cuda");
    Samples samples = new Samples(7, cuda);
    Tensor x = samples.activations(type, 100_000, 2, 3);
    Tensor g = samples.gradients(type, 100_000, 2, 3);
    Tensor t = Tensor.create(0.5f, 0.25f, 1f).to(cuda, ScalarType.Float);
    boolean[] wanted = {true, true, false, false};
    Tensor[] first = kernels.clipBackward(g, x, Limits.above(t), wanted);
    for (int i = 0; i < 20; i++) {
      Tensor[] again = kernels.clipBackward(g, x, Limits.above(t), wanted);
      Bits.assertSame(first[0], again[0], "by x");
      Bits.assertSame(first[1], again[1], "by t");
    }
  }

  @Test
  void aThresholdOnTheCpuIsNotTheirs() {
    Tensor x = torch.ones(3, 3).to(Devices.of("cuda"), ScalarType.Float);
    assertFalse(kernels.supports(x, torch.ones(3)));
  }
}
