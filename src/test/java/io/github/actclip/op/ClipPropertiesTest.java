package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.Arrays;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** What is true of every clip, whatever the numbers. */
class ClipPropertiesTest {

  static {
    LibTorch.load();
  }

  private static final int TRIES = 100;
  private static final int CHANNELS = 3;

  /** So that 4×4 images of three channels fit. */
  private static final int SIZE = 2 * CHANNELS * 4 * 4;

  private TensorScope scope;

  @BeforeTry
  void open() {
    scope = new TensorScope();
  }

  @AfterTry
  void close() {
    scope.close();
  }

  /** Finite numbers of any size, and many multiples of a half, so that there are zeros and ties. */
  @Provide
  Arbitrary<float[]> activations() {
    return numbers().array(float[].class).ofSize(SIZE);
  }

  @Provide
  Arbitrary<float[]> thresholds() {
    return numbers().array(float[].class).ofSize(CHANNELS);
  }

  private static Arbitrary<Float> numbers() {
    return Arbitraries.oneOf(
        Arbitraries.floats().between(-1e30f, 1e30f).ofScale(9),
        Arbitraries.floats().between(-2, 2).ofScale(9),
        Arbitraries.integers().between(-2, 2).map(i -> i / 2f));
  }

  private static Tensor images(float[] values) {
    return Tensor.create(values, 2, CHANNELS, 4, 4);
  }

  private static Tensor channels(float[] values) {
    return Tensor.create(values, CHANNELS, 1, 1);
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void movesNoFartherThanItsActivations(
      @ForAll("activations") float[] x1,
      @ForAll("activations") float[] x2,
      @ForAll("thresholds") float[] t) {
    double[] y1 = Fixture.values(ClipOp.clip(images(x1), channels(t)));
    double[] y2 = Fixture.values(ClipOp.clip(images(x2), channels(t)));
    for (int i = 0; i < SIZE; i++) {
      assertTrue(Math.abs(y1[i] - y2[i]) <= Math.abs((double) x1[i] - x2[i]));
    }
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void movesNoFartherThanItsThreshold(
      @ForAll("activations") float[] x,
      @ForAll("thresholds") float[] t1,
      @ForAll("thresholds") float[] t2) {
    double[] y1 = Fixture.values(ClipOp.clip(images(x), channels(t1)));
    double[] y2 = Fixture.values(ClipOp.clip(images(x), channels(t2)));
    for (int i = 0; i < SIZE; i++) {
      int c = i / 16 % CHANNELS;
      assertTrue(Math.abs(y1[i] - y2[i]) <= Math.abs((double) t1[c] - t2[c]));
    }
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void doesNothingTheSecondTime(@ForAll("activations") float[] x, @ForAll("thresholds") float[] t) {
    Tensor once = ClipOp.clip(images(x), channels(t));
    assertSameBits(once, ClipOp.clip(once, channels(t)));
    Tensor rectified = ClipOp.relu(images(x), channels(t));
    assertSameBits(rectified, ClipOp.relu(rectified, channels(t)));
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void keepsTheOrder(@ForAll("activations") float[] x, @ForAll("thresholds") float[] t) {
    float[] sorted = x.clone();
    Arrays.sort(sorted);
    Tensor one = Tensor.create(t[0]);
    double[] y = Fixture.values(ClipOp.clip(Tensor.create(sorted), one));
    double[] twoSided = Fixture.values(ClipOp.clip(Tensor.create(sorted), one.sub(one), one));
    for (int i = 1; i < SIZE; i++) {
      assertTrue(y[i - 1] <= y[i]);
      assertTrue(twoSided[i - 1] <= twoSided[i]);
    }
  }

  /** For a power of two, which rounds nothing. */
  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void scalesWithItsArguments(
      @ForAll("activations") float[] x,
      @ForAll("thresholds") float[] t,
      @ForAll @IntRange(min = -8, max = 8) int exponent) {
    Scalar a = new Scalar(Math.scalb(1.0, exponent));
    assertSameBits(
        ClipOp.clip(images(x), channels(t)).mul(a),
        ClipOp.clip(images(x).mul(a), channels(t).mul(a)));
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void commutesWithMaxPooling(@ForAll("activations") float[] x, @ForAll("thresholds") float[] t) {
    assertSameBits(
        torch.max_pool2d(ClipOp.clip(images(x), channels(t)), 2, 2),
        ClipOp.clip(torch.max_pool2d(images(x), 2, 2), channels(t)));
    assertSameBits(
        torch.max_pool2d(ClipOp.relu(images(x), channels(t)), 2, 2),
        ClipOp.relu(torch.max_pool2d(images(x), 2, 2), channels(t)));
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void channelsThresholdGradientsAddUpToTheTensors(
      @ForAll("activations") float[] x, @ForAll @IntRange(min = -2, max = 2) int t) {
    Tensor g = multiplesOfAnEighth();
    Tensor one = Gradients.leaf(Tensor.create((float) t));
    Tensor many = Gradients.leaf(channels(new float[] {t, t, t}));
    Gradients.backward(ClipOp.clip(images(x), one), g);
    Gradients.backward(ClipOp.clip(images(x), many), g);
    double sum = Arrays.stream(Gradients.take(many)).sum();
    assertArrayEquals(new double[] {sum}, Gradients.take(one));
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void untiedWithTheCutAsItsValueIsTied(
      @ForAll("activations") float[] x, @ForAll("thresholds") float[] t) {
    Tensor g = multiplesOfAnEighth();
    Tensor tiedX = Gradients.leaf(images(x));
    Tensor untiedX = Gradients.leaf(images(x));
    Tensor threshold = Gradients.leaf(channels(t));
    Tensor value = Gradients.leaf(channels(t));
    Tensor tied = ClipOp.clip(tiedX, threshold);
    Tensor untied = ClipOp.untied(untiedX, channels(t), value);
    assertSameBits(tied, untied);
    Gradients.backward(tied, g);
    Gradients.backward(untied, g);
    assertArrayEquals(Gradients.take(tiedX), Gradients.take(untiedX));
    assertArrayEquals(Gradients.take(threshold), Gradients.take(value));
  }

  @Property(tries = TRIES, edgeCases = EdgeCasesMode.NONE)
  void twoSidedWithoutALowerBoundIsOneSided(
      @ForAll("activations") float[] x, @ForAll("thresholds") float[] t) {
    Tensor lo = Gradients.leaf(Tensor.create(Float.NEGATIVE_INFINITY));
    Tensor hi = Gradients.leaf(channels(t));
    Tensor threshold = Gradients.leaf(channels(t));
    Tensor twoSided = ClipOp.clip(images(x), lo, hi);
    Tensor oneSided = ClipOp.clip(images(x), threshold);
    assertSameBits(oneSided, twoSided);
    Gradients.backward(twoSided, multiplesOfAnEighth());
    Gradients.backward(oneSided, multiplesOfAnEighth());
    assertArrayEquals(Gradients.take(threshold), Gradients.take(hi));
    assertArrayEquals(new double[] {0}, Gradients.take(lo));
  }

  /** Their sums are exact in float32, in any order. */
  private static Tensor multiplesOfAnEighth() {
    float[] g = new float[SIZE];
    IntStream.range(0, SIZE).forEach(i -> g[i] = (i * 37 % 101 - 50) / 8f);
    return images(g);
  }

  /** Also the sign of a zero. */
  private static void assertSameBits(Tensor expected, Tensor actual) {
    assertArrayEquals(Fixture.values(expected), Fixture.values(actual));
  }
}
