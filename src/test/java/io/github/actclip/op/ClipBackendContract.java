package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What every backend computes, against LibTorch's autograd and loops in float64. */
abstract class ClipBackendContract {

  static {
    LibTorch.load();
  }

  private static final long[] ONE = {1};
  private static final long[] SHAPE = {2, 3, 5, 7};
  private static final boolean[] ALL = {true, true, true, true};

  private TensorScope scope;
  private Device device;
  private Samples samples;

  /** The backend under test. */
  abstract ClipBackend backend();

  /** Where it is tested. */
  String device() {
    return "cpu";
  }

  /**
   * By how much a sum may be off.
   *
   * @param of the dtype of the activations
   * @param type of the sum
   * @param absolute the sum of what is summed without its signs
   */
  abstract double tolerance(ScalarType of, ScalarType type, double sum, double absolute);

  @BeforeEach
  void open() {
    scope = new TensorScope();
    device = new Device(device());
    samples = new Samples(43, device);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<ScalarType> dtypes() {
    return Stream.of(Samples.DTYPES);
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void clipsAnySize(ScalarType type) {
    for (long size : new long[] {0, 1, 3, 13, 207, 4098}) {
      Tensor x = samples.activations(type, size);
      Tensor g = samples.gradients(type, size);
      clips(type, ONE).forEach(clip -> assertClips(clip, x, g, size + " elements"));
    }
    Tensor one = samples.activations(type, 1).squeeze();
    clips(type, 1, 1).forEach(clip -> assertClips(clip, one, one.sign(), "no dimension"));
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void clipsAnyLayoutByAnyAxis(ScalarType type) {
    Map<String, Tensor> xs = Samples.layouts(samples.activations(type, SHAPE));
    Map<String, Tensor> gs = Samples.layouts(samples.gradients(type, SHAPE));
    long[][] shapes = {{}, {2, 1, 1, 1}, {3, 1, 1}, {5, 1}, {7}, {1, 3, 1, 1}};
    for (long[] shape : shapes) {
      clips(type, shape)
          .forEach(
              clip -> {
                xs.forEach((name, x) -> assertClips(clip, x, gs.get("contiguous"), name));
                gs.forEach((name, g) -> assertClips(clip, xs.get("channels last"), g, name));
                xs.forEach((name, x) -> assertClips(clip, x, gs.get(name), name + ", both"));
              });
    }
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void roundsThresholdsOfAnotherDtype(ScalarType type) {
    Tensor x = samples.activations(type, SHAPE);
    Tensor g = samples.gradients(type, SHAPE);
    for (ScalarType of : Samples.DTYPES) {
      for (long[] shape : new long[][] {ONE, {3, 1, 1}}) {
        clips(of, shape)
            .map(clip -> clip.moved(1e-3 / 3))
            .forEach(clip -> assertClips(clip, x, g, "thresholds of " + of));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void takesEmptyTensors(ScalarType type) {
    Tensor x = samples.activations(type, 2, 3, 0, 7);
    clips(type, 3, 1, 1).forEach(clip -> assertClips(clip, x, x, "empty"));
    Tensor nothing = samples.activations(type, 0, 3, 4, 4);
    assertPools(nothing, nothing.narrow(2, 0, 2).narrow(3, 0, 2), threshold(0.5), true);
  }

  private Stream<ClipCase> clips(ScalarType type, long... shape) {
    return ClipCase.all(type, shape).map(clip -> clip.on(device));
  }

  private Tensor threshold(double value) {
    return torch.full(new long[] {1}, new Scalar(value)).to(device, ScalarType.Double);
  }

  private void assertClips(ClipCase clip, Tensor x, Tensor g, String what) {
    TensorScope.run(
        () -> {
          String where = what + ", " + x.scalar_type().intern() + ", " + clip;
          Limits limits = clip.limits();
          assertTrue(backend().supports(x, limits.thresholds()), where);
          Tensor leaf = x.detach().requires_grad_(true);
          Tensor expected = clip.expression(leaf);
          Bits.assertSame(expected, backend().clip(x, limits), where);
          boolean tied = limits.value() == null;
          boolean[] wanted = {true, tied, limits.lower() != null, !tied};
          Tensor[] gradients = backend().clipBackward(g, x, limits, wanted);
          Bits.assertSame(ClipCase.gradient(expected, leaf, g), gradients[0], where + ", by x");
          assertSums(clip, x, g, gradients, where);
          assertStatistics(clip, x, g, where);
        });
  }

  private void assertSums(ClipCase clip, Tensor x, Tensor g, Tensor[] gradients, String where) {
    Limits limits = clip.limits();
    boolean tied = limits.value() == null;
    ScalarType type = x.scalar_type().intern();
    ClipCase.Loop above = clip.above(x, g);
    Tensor threshold = tied ? limits.upper() : limits.value();
    assertLike(threshold, gradients[tied ? 1 : 3], where + ", by the upper");
    assertSum(
        type, above.sums()[0], above.absolute(), gradients[tied ? 1 : 3], where + ", by the upper");
    if (limits.lower() != null) {
      ClipCase.Loop below = clip.below(x, g);
      assertLike(limits.lower(), gradients[2], where + ", by the lower");
      assertSum(type, below.sums()[0], below.absolute(), gradients[2], where + ", by the lower");
    }
  }

  private void assertStatistics(ClipCase clip, Tensor x, Tensor g, String where) {
    Sums[] sums = backend().statistics(g, x, clip.limits());
    Tensor threshold = clip.limits().upper();
    assertStatistics(sums[0], clip.above(x, g), threshold, x, where + ", statistics");
    if (clip.limits().lower() != null) {
      Tensor lower = clip.limits().lower();
      assertStatistics(sums[1], clip.below(x, g), lower, x, where + ", lower statistics");
    }
  }

  private void assertStatistics(
      Sums sums, ClipCase.Loop loop, Tensor threshold, Tensor x, String where) {
    boolean isDouble = x.scalar_type().intern() == ScalarType.Double;
    for (Sums.Of of : Sums.Of.values()) {
      Tensor actual = sums.get(of, threshold);
      String what = where + ", " + of;
      assertArrayEquals(threshold.shape(), actual.shape(), what);
      ScalarType type = isDouble ? ScalarType.Double : ScalarType.Float;
      assertEquals(type, actual.scalar_type().intern(), what);
      double[] expected = loop.sums()[of.ordinal()];
      if (of == Sums.Of.CLIPPED || of == Sums.Of.POSITIVE) {
        assertArrayEquals(expected, Fixture.values(actual), what);
      } else {
        assertSum(x.scalar_type().intern(), expected, loop.absolute(), actual, what);
      }
    }
  }

  private static void assertLike(Tensor threshold, Tensor gradient, String where) {
    assertArrayEquals(threshold.shape(), gradient.shape(), where);
    assertEquals(threshold.scalar_type().intern(), gradient.scalar_type().intern(), where);
  }

  private void assertSum(
      ScalarType of, double[] expected, double[] absolute, Tensor actual, String where) {
    ScalarType type = actual.scalar_type().intern();
    double[] values = Fixture.values(actual);
    for (int k = 0; k < expected.length; k++) {
      double tolerance = tolerance(of, type, expected[k], absolute[k]);
      assertEquals(expected[k], values[k], tolerance, where + " at " + k);
    }
  }

  @ParameterizedTest
  @MethodSource("dtypes")
  void pools(ScalarType type) {
    for (long[] shape :
        new long[][] {{2, 3, 4, 6}, {1, 5, 7, 9}, {3, 1, 2, 2}, {2, 33, 10, 3}, {1, 39, 2, 3}}) {
      Tensor x = samples.activations(type, shape);
      Tensor g = samples.gradients(type, shape[0], shape[1], shape[2] / 2, shape[3] / 2);
      Tensor perChannel = samples.gradients(ScalarType.Float, shape[1], 1, 1);
      for (Tensor t :
          new Tensor[] {threshold(0.5), threshold(-0.5).to(ScalarType.Float), perChannel}) {
        for (boolean relu : new boolean[] {true, false}) {
          Samples.layouts(x).forEach((name, laidOut) -> assertPools(laidOut, g, t, relu));
          Tensor last = x.contiguous(MemoryFormat.ChannelsLast);
          assertPools(last, g.contiguous(MemoryFormat.ChannelsLast), t, relu);
        }
      }
    }
  }

  private void assertPools(Tensor x, Tensor g, Tensor t, boolean relu) {
    TensorScope.run(
        () -> {
          String where = x.scalar_type().intern() + ", pooled, relu " + relu;
          ClipCase clip = new ClipCase(new Limits(relu, t, null, null));
          Tensor leaf = x.detach().requires_grad_(true);
          Tensor largest = torch.max_pool2d(leaf, 2, 2);
          Tensor expected = clip.expression(largest);
          Pooled pooled = backend().maxPoolClip(x, t, relu);
          Bits.assertSame(expected, pooled.output(), where);
          Tensor[] gradients = backend().maxPoolClipBackward(g, pooled.codes(), t, x.shape());
          Bits.assertSame(ClipCase.gradient(expected, leaf, g), gradients[0], where + ", by x");
          assertLike(t, gradients[1], where);
          ClipCase.Loop loop = clip.above(largest, g);
          assertSum(
              x.scalar_type().intern(),
              loop.sums()[0],
              loop.absolute(),
              gradients[1],
              where + ", by t");
        });
  }

  @ParameterizedTest
  @EnumSource(ScaleGradient.class)
  void quantizes(ScaleGradient rule) {
    for (ScalarType type : Samples.DTYPES) {
      Tensor x = samples.numbers(type, SHAPE);
      Tensor g = samples.gradients(type, SHAPE);
      Samples.layouts(x).forEach((name, laidOut) -> assertQuantizes(laidOut, g, ONE, rule));
      Samples.layouts(g).forEach((name, laidOut) -> assertQuantizes(x, laidOut, ONE, rule));
      assertQuantizes(samples.activations(type, SHAPE), g, ONE, rule);
      for (long[] shape : new long[][] {{2, 1, 1, 1}, {3, 1, 1}, {5, 1}, {7}}) {
        assertQuantizes(x, g, shape, rule);
      }
      for (long size : new long[] {0, 1, 3, 13, 207, 4098}) {
        Tensor many = samples.numbers(type, size);
        assertQuantizes(many, samples.gradients(type, size), ONE, rule);
      }
    }
  }

  private void assertQuantizes(Tensor x, Tensor g, long[] shape, ScaleGradient rule) {
    TensorScope.run(
        () -> {
          Tensor scale = samples.gradients(ScalarType.Float, shape).abs();
          Tensor offset = samples.gradients(ScalarType.Float, shape).mul(new Scalar(0.5));
          for (int[] codes : new int[][] {{0, 15}, {-8, 7}, {0, 1}}) {
            Tensor none = torch.zeros_like(offset);
            assertQuantizes(x, g, new Grid(scale, none, codes[0], codes[1]), rule);
            assertQuantizes(x, g, new Grid(scale, offset, codes[0], codes[1]), rule);
            Tensor tiny = scale.mul(new Scalar(1e-37)).clamp_min(new Scalar(Float.MIN_NORMAL));
            assertQuantizes(x, g, new Grid(tiny, none, codes[0], codes[1]), rule);
          }
        });
  }

  private void assertQuantizes(Tensor x, Tensor g, Grid grid, ScaleGradient rule) {
    String where = x.scalar_type().intern() + ", " + rule + ", " + grid.low() + ".." + grid.high();
    QuantizeCase expected = new QuantizeCase(x, g, grid, rule);
    Bits.assertSame(expected.output(), backend().fakeQuantize(x, grid), where);
    Tensor[] gradients = backend().fakeQuantizeBackward(g, x, grid, rule, ALL);
    Bits.assertSame(expected.byX(), gradients[0], where + ", by x");
    assertLike(grid.scale(), gradients[1], where);
    assertLike(grid.offset(), gradients[2], where);
    expected.assertScale(gradients[1], where + ", by the scale");
    expected.assertOffset(gradients[2], where + ", by the offset");
  }
}
