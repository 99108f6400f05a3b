package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LargeTensors;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The clips as native kernels. */
class NativeBackendTest extends ClipBackendContract {

  private static final long LARGE = 9_000_000;
  private static final MemoryFormat CHANNELS_LAST = MemoryFormat.ChannelsLast;

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

  /** Such a tensor has a device and strides, but no memory. */
  @Test
  void aTensorOfZerosWithoutMemoryIsZero() {
    Tensor none = torch.torch__efficientzerotensor(1, 2, 2, 2);
    Tensor zeros = torch.zeros(1, 2, 2, 2);
    Tensor t = torch.torch__efficientzerotensor(1);
    assertSupports(false, none, Tensor.create(1f));
    assertSupports(false, zeros, t);
    Bits.assertSame(zeros, ClipOp.clip(none, Tensor.create(1f)), "activations");
    Bits.assertSame(zeros, ClipOp.clip(torch.ones(1, 2, 2, 2), t), "threshold");
    Tensor x = torch.ones(1, 2, 2, 2);
    Limits limits = Limits.above(Tensor.create(0.5f));
    Tensor[] gradients = ClipOp.clipBackward(none, x, limits, true, true, false, false);
    Bits.assertSame(zeros, gradients[0], "by x");
    assertEquals(0, gradients[1].item_double());
    assertEquals(0, ClipOp.statistics(none, x, limits)[1].clippedSum().item_double());
    Grid grid = new Grid(Tensor.create(1f), Tensor.create(0f), 0, 3);
    gradients =
        QuantizeOp.fakeQuantizeBackward(none, x, grid, ScaleGradient.CLIPPED, true, true, true);
    Bits.assertSame(zeros, gradients[0], "by x, quantized");
  }

  @Test
  void aPooledGradientOfZerosWithoutMemoryIsZero() {
    Tensor x = torch.ones(1, 2, 2, 2);
    Tensor t = Tensor.create(0.5f);
    Tensor codes = PoolOp.maxPoolClip(x, t, true).codes();
    Tensor g = torch.torch__efficientzerotensor(1, 2, 1, 1);
    Tensor[] gradients = PoolOp.maxPoolClipBackward(g, codes, t, 1, 2, 2, 2);
    Bits.assertSame(torch.zeros_like(x), gradients[0], "by x");
    assertEquals(0, gradients[1].item_double());
  }

  /** As an element of a vector may have, which is a pointer to the first and a position. */
  @Test
  void aTensorAtAPositionIsThatOne() {
    TensorVector two = new TensorVector(torch.zeros(3), Tensor.create(1f, 2f, 3f));
    Tensor x = two.get(0).position(1);
    TensorVector thresholds = new TensorVector(torch.ones(3, 4), Tensor.create(2f));
    Tensor t = thresholds.get(0).position(1);
    assertSupports(true, x, t);
    Bits.assertSame(Tensor.create(1f, 2f, 2f), ClipOp.clip(x, t), "clip");
    Bits.assertSame(Tensor.create(1f, 2f, 2f), ClipOp.clipFew(x, t, true, 4), "few");
    Tensor[] gradients = ClipOp.clipBackward(x, x, Limits.above(t), true, true, false, false);
    Bits.assertSame(Tensor.create(1f, 2f, 0f), gradients[0], "by x");
    assertEquals(3, gradients[1].item_double());
  }

  @Test
  void clipsFewInOneCall() {
    Tensor x = torch.randn(2, 3);
    Tensor t = Tensor.create(0.5f);
    Bits.assertSame(ClipOp.clip(x, t), ClipOp.clipFew(x, t, false, 7), "clip");
    Bits.assertSame(ClipOp.relu(x, t), ClipOp.clipFew(x, t, true, 7), "relu");
    assertNull(ClipOp.clipFew(x, t, true, 6), "not few");
    assertNull(ClipOp.clipFew(x, t.to(ScalarType.Double), true, 7), "of two dtypes");
    assertNull(ClipOp.clipFew(x.to(ScalarType.Half), t.to(ScalarType.Half), true, 7), "float16");
    assertNull(ClipOp.clipFew(x.to(ScalarType.Long), t.to(ScalarType.Long), true, 7), "integers");
    assertNull(ClipOp.clipFew(x, torch.ones(2), true, 7), "does not broadcast");
    for (Tensor none : new Tensor[] {null, new Tensor()}) {
      assertNull(ClipOp.clipFew(none, t, true, 7), "no activations");
      assertNull(ClipOp.clipFew(x, none, true, 7), "no threshold");
    }
  }

  @Test
  void convolvesPoolsAndClipsInOneCall() {
    Samples samples = new Samples(19);
    Tensor perChannel = torch.rand(4, 1, 1);
    for (long[] shape : new long[][] {{1, 3, 6, 6}, {3, 3, 9, 12}, {0, 3, 6, 6}, {2, 3, 32, 32}}) {
      Tensor x = samples.numbers(ScalarType.Float, shape); // ±0 and ±Inf are among them
      Tensor weight = torch.randn(4, 3, 5, 5).requires_grad_(true);
      Tensor bias = torch.randn(4).requires_grad_(true);
      for (Tensor t : new Tensor[] {Tensor.create(0.5f), perChannel, null}) {
        for (MemoryFormat format : new MemoryFormat[] {MemoryFormat.Contiguous, CHANNELS_LAST}) {
          assertOneCall(x.contiguous(format), weight, bias, t);
        }
      }
    }
  }

  private static Tensor conv2d(Tensor x, Tensor weight, Tensor bias) {
    long[] ones = {1, 1};
    return torch.conv2d(x, weight, new TensorOptional(bias), ones, new long[2], ones, 1);
  }

  private static void assertNotNative(Tensor x, Tensor weight, Tensor bias, Tensor t, String why) {
    assertFalse(PoolOp.isConvolutionNative(x, weight, bias, t), why);
  }

  private static void assertOneCall(Tensor x, Tensor weight, Tensor bias, Tensor t) {
    assertNotNative(x, weight, bias, t, "recorded");
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor y = torch.max_pool2d(conv2d(x, weight, bias), 2, 2).relu();
      Tensor expected = t == null ? y : ClipOp.clip(y, t);
      assertTrue(PoolOp.isConvolutionNative(x, weight, bias, t));
      Bits.assertSame(
          expected, PoolOp.convMaxPoolClip(x, weight, bias, t, true).output(), "in one call");
    }
  }

  @Test
  void whatIsNotForOneCallIsNotDone() {
    Tensor x = torch.randn(1, 3, 6, 6);
    Tensor weight = torch.randn(4, 3, 5, 5);
    Tensor bias = torch.randn(4);
    Tensor t = Tensor.create(0.5f);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      assertTrue(PoolOp.isConvolutionNative(x, weight, bias, t));
      Tensor wide = x.to(ScalarType.Double);
      assertNotNative(wide, weight.to(ScalarType.Double), bias, t, "float64");
      assertThrows(
          ActclipException.class, () -> PoolOp.convMaxPoolClip(wide, weight, bias, t, false));
      assertNotNative(x.squeeze(), weight, bias, t, "three dimensions");
      for (Tensor none : new Tensor[] {null, new Tensor()}) {
        assertNotNative(none, weight, bias, t, "no images");
        assertNotNative(x, none, bias, t, "no weight");
        assertNotNative(x, weight, none, t, "no bias");
      }
      Autocast.run(
          new Device("cpu"),
          ScalarType.BFloat16,
          () -> {
            assertNotNative(x, weight, bias, t, "autocast");
            return x;
          });
      assertNotNative(x, weight, torch.randn(5), t, "bias of another size");
      assertNotNative(x, torch.randn(4, 2, 5, 5), bias, t, "other channels");
      assertNotNative(x, torch.randn(4, 3, 6, 5), bias, t, "one row is left");
      Tensor[] thresholds = {
        t.to(ScalarType.Double), torch.rand(5, 1, 1), torch.rand(4), lazilyNegated(t), new Tensor()
      };
      for (Tensor threshold : thresholds) {
        assertNotNative(x, weight, bias, threshold, "another threshold");
      }
    }
  }

  /** Unchecked, it gets that far. */
  @Test
  void whatAKernelThrowsIsOneSentence() {
    Tensor integers = torch.ones(3).to(ScalarType.Long);
    Limits limits = Limits.above(Tensor.create(1f));
    ActclipException e = assertThrows(ActclipException.class, () -> kernels.clip(integers, limits));
    assertTrue(e.getMessage().startsWith("the kernels: the activations must be"), e.getMessage());
    assertFalse(e.isBadInput());
  }

  /** In whatever layout, what comes out lies in memory that was in use before, and is the same. */
  @ParameterizedTest
  @EnumSource(names = {"Contiguous", "ChannelsLast"})
  void largeResultsUseTheirMemoryAgain(MemoryFormat format) {
    assumeTrue(OS.LINUX.isCurrentOs());
    assumeTrue(LargeTensors.like(torch.ones(LARGE)).defined(), "malloc is tuned by its user");
    Limits limits = Limits.between(Tensor.create(-0.5f), Tensor.create(0.5f));
    Tensor x = torch.randn(3, 3, 1000, 1000).contiguous(format);
    Tensor g = torch.randn(3, 3, 1000, 1000); // which is laid out otherwise than one of them
    Set<Long> first = clipAndBack(g, x, limits);
    assertEquals(first, clipAndBack(g, x, limits));
    KernelLibrary.releaseFreedMemory();
  }

  /** Returns where its results were. */
  private Set<Long> clipAndBack(Tensor g, Tensor x, Limits limits) {
    ClipBackend composed = new ComposedBackend();
    Set<Long> addresses = new HashSet<>();
    TensorScope.run(
        () -> {
          Tensor y = kernels.clip(x, limits);
          Tensor byX = kernels.clipBackward(g, x, limits, true, true, true, false)[0];
          for (Tensor large : List.of(y, byX)) {
            assertEquals(2, large.storage().use_count(), "its memory is held");
            addresses.add(large.data_ptr().address());
          }
          Bits.assertSame(composed.clip(x, limits), y, "output");
          Bits.assertSame(
              composed.clipBackward(g, x, limits, true, true, true, false)[0], byX, "by x");
        });
    assertEquals(2, addresses.size());
    return addresses;
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
