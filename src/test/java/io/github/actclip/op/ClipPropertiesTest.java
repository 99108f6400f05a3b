package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import io.github.actclip.testing.RandomCases;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

/** What is true of every clip, whatever the numbers. */
class ClipPropertiesTest {

  static {
    LibTorch.load();
  }

  private static final int TRIES = 100;
  private static final int CHANNELS = 3;

  /** So that 4×4 images of three channels fit. */
  private static final int SIZE = 2 * CHANNELS * 4 * 4;

  /** The arguments of one case: as many of each as a test asks for. */
  private record Arguments(SplittableRandom random) {

    float[] activations() {
      return numbers(SIZE);
    }

    float[] thresholds() {
      return numbers(CHANNELS);
    }

    int integer(int from, int to) {
      return random.nextInt(from, to + 1);
    }

    private float[] numbers(int count) {
      float[] numbers = new float[count];
      IntStream.range(0, count).forEach(i -> numbers[i] = number());
      return numbers;
    }

    /** Finite ones of any size, and many multiples of a half, so that there are zeros and ties. */
    private float number() {
      return switch (random.nextInt(3)) {
        case 0 -> (float) (Math.pow(10, random.nextDouble(-9, 30)) * (2 * random.nextInt(2) - 1));
        case 1 -> (float) random.nextDouble(-2, 2);
        default -> integer(-2, 2) / 2f;
      };
    }
  }

  /** Each case in a scope of its own. */
  private static void check(Consumer<Arguments> property) {
    RandomCases.check(
        TRIES, random -> TensorScope.run(() -> property.accept(new Arguments(random))));
  }

  private static Tensor images(float[] values) {
    return Tensor.create(values, 2, CHANNELS, 4, 4);
  }

  private static Tensor channels(float[] values) {
    return Tensor.create(values, CHANNELS, 1, 1);
  }

  @Test
  void movesNoFartherThanItsActivations() {
    check(
        given -> {
          float[] x1 = given.activations();
          float[] x2 = given.activations();
          float[] t = given.thresholds();
          double[] y1 = Fixture.values(ClipOp.clip(images(x1), channels(t)));
          double[] y2 = Fixture.values(ClipOp.clip(images(x2), channels(t)));
          for (int i = 0; i < SIZE; i++) {
            assertTrue(Math.abs(y1[i] - y2[i]) <= Math.abs((double) x1[i] - x2[i]));
          }
        });
  }

  @Test
  void movesNoFartherThanItsThreshold() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t1 = given.thresholds();
          float[] t2 = given.thresholds();
          double[] y1 = Fixture.values(ClipOp.clip(images(x), channels(t1)));
          double[] y2 = Fixture.values(ClipOp.clip(images(x), channels(t2)));
          for (int i = 0; i < SIZE; i++) {
            int c = i / 16 % CHANNELS;
            assertTrue(Math.abs(y1[i] - y2[i]) <= Math.abs((double) t1[c] - t2[c]));
          }
        });
  }

  @Test
  void doesNothingTheSecondTime() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t = given.thresholds();
          Tensor once = ClipOp.clip(images(x), channels(t));
          assertSameBits(once, ClipOp.clip(once, channels(t)));
          Tensor rectified = ClipOp.relu(images(x), channels(t));
          assertSameBits(rectified, ClipOp.relu(rectified, channels(t)));
        });
  }

  @Test
  void keepsTheOrder() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t = given.thresholds();
          float[] sorted = x.clone();
          Arrays.sort(sorted);
          Tensor one = Tensor.create(t[0]);
          double[] y = Fixture.values(ClipOp.clip(Tensor.create(sorted), one));
          double[] twoSided = Fixture.values(ClipOp.clip(Tensor.create(sorted), one.sub(one), one));
          for (int i = 1; i < SIZE; i++) {
            assertTrue(y[i - 1] <= y[i]);
            assertTrue(twoSided[i - 1] <= twoSided[i]);
          }
        });
  }

  /** For a power of two, which rounds nothing. */
  @Test
  void scalesWithItsArguments() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t = given.thresholds();
          int exponent = given.integer(-8, 8);
          Scalar a = new Scalar(Math.scalb(1.0, exponent));
          assertSameBits(
              ClipOp.clip(images(x), channels(t)).mul(a),
              ClipOp.clip(images(x).mul(a), channels(t).mul(a)));
        });
  }

  @Test
  void commutesWithMaxPooling() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t = given.thresholds();
          assertSameBits(
              torch.max_pool2d(ClipOp.clip(images(x), channels(t)), 2, 2),
              ClipOp.clip(torch.max_pool2d(images(x), 2, 2), channels(t)));
          assertSameBits(
              torch.max_pool2d(ClipOp.relu(images(x), channels(t)), 2, 2),
              ClipOp.relu(torch.max_pool2d(images(x), 2, 2), channels(t)));
        });
  }

  @Test
  void channelsThresholdGradientsAddUpToTheTensors() {
    check(
        given -> {
          float[] x = given.activations();
          int t = given.integer(-2, 2);
          Tensor g = multiplesOfAnEighth();
          Tensor one = Gradients.leaf(Tensor.create((float) t));
          Tensor many = Gradients.leaf(channels(new float[] {t, t, t}));
          Gradients.backward(ClipOp.clip(images(x), one), g);
          Gradients.backward(ClipOp.clip(images(x), many), g);
          double sum = Arrays.stream(Gradients.take(many)).sum();
          assertArrayEquals(new double[] {sum}, Gradients.take(one));
        });
  }

  @Test
  void untiedWithTheCutAsItsValueIsTied() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t = given.thresholds();
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
        });
  }

  @Test
  void twoSidedWithoutALowerBoundIsOneSided() {
    check(
        given -> {
          float[] x = given.activations();
          float[] t = given.thresholds();
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
        });
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
