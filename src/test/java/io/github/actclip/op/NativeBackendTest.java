package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The clips as native kernels. */
class NativeBackendTest extends ClipBackendContract {

  private final ClipBackend kernels = new NativeBackend();

  /** In CI they are built; elsewhere their absence is shown as skipped tests. */
  static void assumeKernels() {
    String reason = KernelLibrary.whyNotLoaded();
    assertTrue(reason.isEmpty() || System.getenv("CI") == null, "CI must build: " + reason);
    assumeTrue(reason.isEmpty(), reason);
  }

  @BeforeEach
  void needKernels() {
    assumeKernels();
  }

  @Override
  ClipBackend backend() {
    return kernels;
  }

  /** Two units in the last place; float64 is summed in float64. */
  @Override
  double tolerance(ScalarType of, ScalarType type, double sum, double absolute) {
    return 2 * Ulp.of(type, sum) + 1e-14 * absolute;
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void sumsHaveTheSameBitsWithAnyNumberOfThreads(ScalarType type) {
    Samples samples = new Samples(7);
    int before = LibTorch.threads();
    try {
      for (long size : new long[] {207, 4098, 600_000}) {
        Tensor x = samples.activations(type, size / 6, 2, 3);
        Tensor g = samples.gradients(type, size / 6, 2, 3);
        Stream.of(Tensor.create(0.5f), Tensor.create(0.5f, 0.25f, 1f))
            .forEach(t -> assertSameBitsWithAnyNumberOfThreads(x, g, t));
      }
    } finally {
      LibTorch.setThreads(before);
    }
  }

  private void assertSameBitsWithAnyNumberOfThreads(Tensor x, Tensor g, Tensor t) {
    Limits limits = new Limits(true, t, t.sub(new Scalar(1)), null);
    Tensor[] first = null;
    for (int threads : new int[] {1, 2, 8}) {
      LibTorch.setThreads(threads);
      Tensor[] gradients = kernels.clipBackward(g, x, limits, true, true, true, false);
      first = first == null ? gradients : first;
      for (int i = 0; i < 3; i++) {
        Bits.assertSame(first[i], gradients[i], threads + " threads, gradient " + i);
      }
    }
  }

  @Test
  void leavesWhatItDoesNotTakeToTheOther() {
    Tensor x = torch.randn(2, 3, 4);
    assertSupports(true, x, torch.ones(1, 1, 1, 1));
    assertSupports(true, x, torch.ones(3, 1), torch.ones(3, 1));
    assertSupports(false, x, torch.ones(3, 4));
    assertSupports(false, x, torch.ones(3, 1), torch.ones(1));
    assertSupports(false, torch.randn(3, 3), torch.ones(3), torch.ones(3, 1));
    assertSupports(false, lazilyNegated(torch.ones(3)), torch.ones(1));
  }

  /** The imaginary part of a conjugate is not negated in memory. */
  private static Tensor lazilyNegated(Tensor values) {
    Tensor negated = torch.imag(torch.view_as_complex(values.unsqueeze(-1).repeat(1, 2)).conj());
    assertTrue(negated.is_neg());
    return negated;
  }

  @Test
  void aLazilyNegatedGradientIsNegative() {
    Tensor g = lazilyNegated(torch.ones(3));
    Limits limits = Limits.above(Tensor.create(1f));
    Tensor[] gradients =
        ClipOp.clipBackward(g, Tensor.create(0f, 1f, 2f), limits, true, true, false, false);
    Bits.assertSame(Tensor.create(-1f, -1f, 0f), gradients[0], "by x");
    assertEquals(-1, gradients[1].item_double());
  }

  private void assertSupports(boolean expected, Tensor x, Tensor... thresholds) {
    assertEquals(expected, kernels.supports(x, thresholds));
  }

  /** Of 2³¹ + 1 elements; it takes 11 GB. */
  @Test
  @EnabledIfSystemProperty(named = "actclip.test.large", matches = "true")
  void countsBeyond32Bits() {
    long size = (1L << 31) + 1;
    TensorScope.run(
        () -> {
          Tensor x =
              torch.zeros(1).to(ScalarType.BFloat16).new_full(new long[] {size}, new Scalar(0.25));
          x.narrow(0, size - 1, 1).fill_(new Scalar(2));
          Limits limits = Limits.above(Tensor.create(1f));
          try (Tensor y = kernels.clip(x, limits)) {
            assertEquals(1, y.narrow(0, size - 1, 1).item_double());
            assertEquals(0.25, y.narrow(0, size - 2, 1).item_double());
            assertEquals(1, y.ne(x).count_nonzero().item_long());
          }
          Tensor[] gradients = kernels.clipBackward(x, x, limits, true, true, false, false);
          assertEquals(2, gradients[1].item_double());
          assertEquals(1, gradients[0].ne(x).count_nonzero().item_long());
        });
  }
}
