package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

/**
 * The native backend against the composed one, for shapes, strides, dtypes and values of any kind.
 * {@code -Dactclip.fuzz.seconds=600} runs it for longer than 20 seconds, {@code
 * -Dactclip.fuzz.seed=N} repeats what failed first.
 */
class ClipBackendFuzzTest {

  private static final long SECONDS = Long.getLong("actclip.fuzz.seconds", 20);
  private static final long FIRST_SEED = Long.getLong("actclip.fuzz.seed", 1);

  private final ClipBackend composed = new ComposedBackend();
  private final ClipBackend kernels = new NativeBackend();
  private Random random;
  private Samples samples;

  @Test
  void bothGiveTheSame() {
    LibTorch.load();
    NativeBackendTest.assumeKernels();
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
    for (long seed = FIRST_SEED; seed == FIRST_SEED || System.nanoTime() < end; seed++) {
      random = new Random(seed);
      samples = new Samples(seed);
      String where = "-Dactclip.fuzz.seed=" + seed;
      try {
        TensorScope.run(() -> computesTheSame(where));
      } catch (RuntimeException e) {
        throw new AssertionError(where, e);
      }
    }
  }

  private void computesTheSame(String where) {
    switch (random.nextInt(4)) {
      case 0 -> quantizes(where);
      case 1 -> pools(where);
      default -> clips(where);
    }
  }

  private void clips(String where) {
    ScalarType type = dtype();
    long[] shape = shape(random.nextInt(6));
    Tensor x = layOut(type, shape);
    Tensor g = layOut(type, shape);
    Limits limits = limits(shape);
    assertTrue(kernels.supports(x, limits.thresholds()), where);
    Bits.assertSame(composed.clip(x, limits), kernels.clip(x, limits), where);
    boolean tied = limits.value() == null;
    boolean[] wanted = {true, tied, limits.lower() != null, !tied};
    Tensor[] expected = composed.clipBackward(g, x, limits, wanted);
    Tensor[] actual = kernels.clipBackward(g, x, limits, wanted);
    Bits.assertSame(expected[0], actual[0], where);
    for (int i = 1; i < wanted.length; i++) {
      if (wanted[i]) {
        assertClose(expected[i], actual[i], g, where + ", gradient " + i);
      }
    }
    Sums[] expectedSums = composed.statistics(g, x, limits);
    Sums[] actualSums = kernels.statistics(g, x, limits);
    assertClose(expectedSums[0], actualSums[0], limits.upper(), g, where + ", upper");
    if (limits.lower() != null) {
      assertClose(expectedSums[1], actualSums[1], limits.lower(), g, where + ", lower");
    }
  }

  private static void assertClose(
      Sums expected, Sums actual, Tensor threshold, Tensor g, String where) {
    for (Sums.Of of : Sums.Of.values()) {
      assertClose(expected.get(of, threshold), actual.get(of, threshold), g, where + ", " + of);
    }
  }

  private void pools(String where) {
    ScalarType type = dtype();
    long[] shape = {
      random.nextInt(4), 1 + random.nextInt(40), 2 + random.nextInt(12), 2 + random.nextInt(12)
    };
    Tensor x = layOut(type, shape);
    Tensor g = layOut(type, shape[0], shape[1], shape[2] / 2, shape[3] / 2);
    Tensor t = threshold(dtype(), random.nextBoolean() ? new long[] {shape[1], 1, 1} : new long[0]);
    boolean relu = random.nextBoolean();
    assertTrue(kernels.supports(x, t), where);
    Pooled expected = composed.maxPoolClip(x, t, relu);
    Pooled actual = kernels.maxPoolClip(x, t, relu);
    Bits.assertSame(expected.output(), actual.output(), where);
    Tensor[] expectedGradients = backward(composed, g, expected, t, shape);
    Tensor[] actualGradients = backward(kernels, g, actual, t, shape);
    Bits.assertSame(plusZero(expectedGradients[0]), plusZero(actualGradients[0]), where);
    assertClose(expectedGradients[1], actualGradients[1], g, where + ", by t");
  }

  /** LibTorch adds what it routes to 0, after which no zero is negative. */
  private static Tensor plusZero(Tensor tensor) {
    return tensor.add(new Scalar(0));
  }

  private static Tensor[] backward(
      ClipBackend backend, Tensor g, Pooled pooled, Tensor t, long[] shape) {
    return backend.maxPoolClipBackward(g, pooled.codes(), t, shape);
  }

  private void quantizes(String where) {
    ScalarType type = dtype();
    long[] shape = shape(random.nextInt(6));
    Tensor x = layOut(type, shape);
    Tensor g = layOut(type, shape);
    long[] shared = thresholdShape(shape);
    int high = 1 << random.nextInt(9);
    Tensor scale = threshold(dtype(), shared).abs().add(new Scalar(0.01));
    Grid grid = new Grid(scale, threshold(dtype(), shared), random.nextBoolean() ? 0 : -high, high);
    assertTrue(kernels.supports(x, grid.scale(), grid.offset()), where);
    ScaleGradient rule = ScaleGradient.values()[random.nextInt(3)];
    Bits.assertSame(composed.fakeQuantize(x, grid), kernels.fakeQuantize(x, grid), where);
    boolean[] wanted = {true, true, true};
    Tensor[] expected = composed.fakeQuantizeBackward(g, x, grid, rule, wanted);
    Tensor[] actual = kernels.fakeQuantizeBackward(g, x, grid, rule, wanted);
    Bits.assertSame(expected[0], actual[0], where);
    Tensor largest = g.mul(new Scalar(high));
    assertClose(expected[1], actual[1], largest, where + ", by the scale");
    assertClose(expected[2], actual[2], g, where + ", by the offset");
  }

  /** Both sum in float32 at least, in orders of their own. */
  private static void assertClose(Tensor expected, Tensor actual, Tensor summed, String where) {
    double absolute = summed.nan_to_num().to(ScalarType.Double).abs().sum().item_double();
    double[] expectedSums = Fixture.values(expected);
    double[] actualSums = Fixture.values(actual);
    ScalarType type = expected.scalar_type().intern();
    assertEquals(type, actual.scalar_type().intern(), where);
    for (int k = 0; k < expectedSums.length; k++) {
      double sum = expectedSums[k];
      double tolerance = Double.isFinite(sum) ? 1e-5 * absolute + 2 * Ulp.of(type, sum) : 0;
      assertEquals(sum, actualSums[k], tolerance, where + " at " + k);
    }
  }

  private Limits limits(long[] shape) {
    long[] shared = thresholdShape(shape);
    Tensor upper = threshold(dtype(), shared);
    return switch (random.nextInt(4)) {
      case 0 -> new Limits(random.nextBoolean(), upper, threshold(dtype(), shared), null);
      case 1 -> new Limits(false, upper, null, threshold(dtype(), shared));
      default -> new Limits(random.nextBoolean(), upper, null, null);
    };
  }

  /** For all elements, or for each along one dimension. */
  private long[] thresholdShape(long[] shape) {
    if (shape.length == 0 || random.nextBoolean()) {
      return random.nextBoolean() ? new long[] {1} : new long[0];
    }
    int dimension = random.nextInt(shape.length);
    long[] shared = new long[shape.length - dimension];
    Arrays.fill(shared, 1);
    shared[0] = shape[dimension];
    return shared;
  }

  private Tensor threshold(ScalarType type, long... shape) {
    double[] values = new double[(int) Samples.count(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(17) / 8.0 - 0.5;
    }
    return Tensor.create(values, shape).to(type);
  }

  private ScalarType dtype() {
    return Samples.DTYPES[random.nextInt(Samples.DTYPES.length)];
  }

  private long[] shape(int dimensions) {
    switch (random.nextInt(20)) {
      case 0: // channels of a few elements each
        return new long[] {1 + random.nextInt(3), 1 + random.nextInt(2000), 2 + random.nextInt(3)};
      case 1: // more channels than a block of the kernels has elements
        return new long[] {1 + random.nextInt(2), 8193 + random.nextInt(2000)};
      default:
        return anyShape(dimensions);
    }
  }

  private long[] anyShape(int dimensions) {
    long[] shape = new long[dimensions];
    int most = dimensions <= 1 ? 5000 : dimensions == 2 ? 90 : 14;
    for (int i = 0; i < dimensions; i++) {
      shape[i] = random.nextInt(12) == 0 ? random.nextInt(2) : 1 + random.nextInt(most);
    }
    return shape;
  }

  /** Dense, in another order of dimensions, in steps, repeated, or all of it. */
  private Tensor layOut(ScalarType type, long... shape) {
    long[] stored = shape.clone();
    long[] steps = new long[shape.length];
    boolean[] repeated = new boolean[shape.length];
    boolean plain = random.nextBoolean();
    for (int i = 0; i < shape.length; i++) {
      steps[i] = plain || random.nextInt(3) > 0 ? 1 : 1 + random.nextInt(3);
      repeated[i] = !plain && random.nextInt(6) == 0 && shape[i] > 0;
      stored[i] = repeated[i] ? 1 : shape[i] * steps[i];
    }
    Tensor result = values(type, stored);
    if (random.nextInt(3) == 0 && shape.length == 4) {
      result = result.contiguous(MemoryFormat.ChannelsLast);
    } else if (random.nextInt(3) == 0 && shape.length > 1) {
      int other = random.nextInt(shape.length);
      result = result.transpose(0, other).contiguous().transpose(0, other);
    }
    for (int i = 0; i < shape.length; i++) {
      if (!repeated[i]) {
        result = result.slice(i, new LongOptional(0), new LongOptional(), steps[i]);
      }
    }
    return result.expand(shape);
  }

  /** With all that is special, or finite, so that there are sums to compare. */
  private Tensor values(ScalarType type, long... shape) {
    return random.nextBoolean() ? samples.activations(type, shape) : samples.gradients(type, shape);
  }
}
