package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The rules by which thresholds learn, against plain loops over the elements. */
class ThresholdGradientTest {

  static {
    LibTorch.load();
  }

  private static final int BATCH = 4;
  private static final int CHANNELS = 3;
  private static final int PIXELS = 5;

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(37);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** What a loop over the elements that share a threshold counts and sums up. */
  private static final class Loop {
    private double clippedSum;
    private int clippedCount;
    private double positiveSum;
    private int positiveCount;
    private int count;

    private void add(double x, double g, boolean clipped) {
      count++;
      if (clipped) {
        clippedSum += g;
        clippedCount++;
      } else if (x > 0) {
        positiveSum += g;
        positiveCount++;
      }
    }

    private double clippedMean() {
      return clippedCount == 0 ? 0 : clippedSum / clippedCount;
    }

    private double positiveMean() {
      return positiveCount == 0 ? 0 : positiveSum / positiveCount;
    }
  }

  private interface Expected {
    double of(Loop loop);
  }

  static Stream<Arguments> rules() {
    ThresholdGradient lambda =
        s ->
            s.clippedSum()
                .mul(new Scalar(2))
                .sub(s.positiveSum())
                .add(s.positiveCount().mul(new Scalar(s.count())))
                .add(s.clippedCount());
    return Stream.of(
        rule("SUM", ThresholdGradient.SUM, l -> l.clippedSum),
        rule("MEAN", ThresholdGradient.MEAN, Loop::clippedMean),
        rule(
            "SUM_OF_MEANS",
            ThresholdGradient.SUM_OF_MEANS,
            l -> l.clippedMean() + l.positiveMean()),
        rule("lsq(1)", ThresholdGradient.lsq(1), l -> l.clippedSum / Math.sqrt(l.count)),
        rule("lsq(15)", ThresholdGradient.lsq(15), l -> l.clippedSum / Math.sqrt(l.count * 15)),
        rule("FROZEN", ThresholdGradient.FROZEN, l -> 0),
        rule(
            "a lambda",
            lambda,
            l -> 2 * l.clippedSum - l.positiveSum + l.positiveCount * l.count + l.clippedCount));
  }

  private static Arguments rule(String name, ThresholdGradient rule, Expected expected) {
    return Arguments.of(name, rule, expected);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("rules")
  void oneThresholdForAll(String name, ThresholdGradient rule, Expected expected) {
    for (double t : new double[] {0.5, 0, -0.75, 100, -100}) {
      assertGivesWhatTheLoopGives(rule, expected, Gradients.normal(shape()), Tensor.create(t));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("rules")
  void oneThresholdForEachChannel(String name, ThresholdGradient rule, Expected expected) {
    // Of the second channel nothing is clipped, of the third nothing is left.
    Tensor t = Tensor.create(new double[] {0.5, 100, -100}, CHANNELS, 1);
    assertGivesWhatTheLoopGives(rule, expected, Gradients.normal(shape()), t);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("rules")
  void nothingIsPositive(String name, ThresholdGradient rule, Expected expected) {
    Tensor x = Gradients.normal(shape()).abs().neg();
    assertGivesWhatTheLoopGives(rule, expected, x, Tensor.create(0.5));
    assertGivesWhatTheLoopGives(rule, expected, x, Tensor.create(-0.5));
  }

  private static void assertGivesWhatTheLoopGives(
      ThresholdGradient rule, Expected expected, Tensor x, Tensor t) {
    Tensor g = Gradients.normal(shape());
    Tensor threshold = Gradients.leaf(t);
    Gradients.backward(ClipFunctions.clip(x, threshold, rule), g);
    assertArrayEquals(threshold.shape(), threshold.grad().shape());
    Loop[] loops = loops(x, g, Fixture.values(t));
    double[] gradients = Stream.of(loops).mapToDouble(expected::of).toArray();
    assertArrayEquals(gradients, Gradients.take(threshold), 1e-12);
  }

  private static Loop[] loops(Tensor x, Tensor g, double[] thresholds) {
    Loop[] loops = new Loop[thresholds.length];
    for (int k = 0; k < loops.length; k++) {
      loops[k] = new Loop();
    }
    double[] xs = Fixture.values(x);
    double[] gs = Fixture.values(g);
    for (int i = 0; i < xs.length; i++) {
      int k = i / PIXELS % CHANNELS % loops.length;
      loops[k].add(xs[i], gs[i], xs[i] > thresholds[k]);
    }
    return loops;
  }

  private static long[] shape() {
    return new long[] {BATCH, CHANNELS, PIXELS};
  }

  @Test
  void bothThresholdsOfATwoSidedClipFollowTheRule() {
    Tensor x = Tensor.create(-3.0, -2, -0.5, 0.5, 1, 2, 3, 4);
    Tensor g = Tensor.create(1.0, 3, 5, 7, 9, 11, 13, 15);
    Tensor lo = Gradients.leaf(Tensor.create(-1.0));
    Tensor hi = Gradients.leaf(Tensor.create(1.5));
    Gradients.backward(ClipFunctions.clip(x, lo, hi, ThresholdGradient.MEAN), g);
    assertArrayEquals(new double[] {2}, Gradients.take(lo));
    assertArrayEquals(new double[] {13}, Gradients.take(hi));
  }

  @Test
  void theCutAndTheValueFollowRulesOfTheirOwn() {
    Tensor x = Tensor.create(-1.0, 0.5, 2, 3);
    Tensor g = Tensor.create(1.0, 3, 5, 7);
    Tensor cut = Gradients.leaf(Tensor.create(1.0));
    Tensor value = Gradients.leaf(Tensor.create(0.25));
    Tensor y =
        ClipFunctions.untied(
            x, cut, value, s -> s.positiveSum().mul(new Scalar(10)), ThresholdGradient.MEAN);
    Gradients.backward(y, g);
    assertArrayEquals(new double[] {30}, Gradients.take(cut));
    assertArrayEquals(new double[] {6}, Gradients.take(value));
  }

  /** No rule changes what the activations get. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("rules")
  void theActivationsGetTheExactGradient(String name, ThresholdGradient rule, Expected expected) {
    Tensor x = Gradients.leaf(Gradients.normal(shape()));
    Tensor t = Gradients.leaf(Tensor.create(0.25));
    Tensor g = Gradients.normal(shape());
    Gradients.backward(ClipFunctions.relu(x, t, rule), g);
    double[] actual = Gradients.take(x);
    Gradients.backward(ClipFunctions.relu(x, t, ThresholdGradient.SUM), g);
    assertArrayEquals(Gradients.take(x), actual);
  }

  @Test
  void aClipThatDoesNotJumpHasNoKernelDensity() {
    Tensor t = Gradients.leaf(Tensor.create(0.0));
    Tensor y = ClipFunctions.clip(Gradients.normal(100), t, ThresholdGradient.kernelDensity(1));
    y.sum().backward();
    assertArrayEquals(new double[] {0}, Gradients.take(t));
  }

  /** x passes the value unnoticed, whatever the cut does: E[L] by it is Σ g over the clipped. */
  @Test
  void theValueOfAnUntiedClipHasNoKernelDensity() {
    Tensor value = Gradients.leaf(Tensor.create(0.25));
    ThresholdGradient rule = ThresholdGradient.kernelDensity(1);
    for (double cut : new double[] {-1, 0.25, 1}) {
      Tensor y = ClipFunctions.untied(Gradients.normal(100), Tensor.create(cut), value, rule, rule);
      y.sum().backward();
      assertArrayEquals(new double[] {0}, Gradients.take(value), "cut at " + cut);
    }
  }

  /** In bfloat16 the sum 3.015625 + 1 is 4, and so is 4.01. */
  @Test
  void whatIsNearTheCutIsFoundInFloat32() {
    Tensor x = Tensor.create(3f, 3.015625f).to(ScalarType.BFloat16);
    Tensor g = torch.ones(2).to(ScalarType.BFloat16);
    Tensor cut = Gradients.leaf(Tensor.create(-1f));
    Tensor value = Tensor.create(-2f);
    for (double[] nearAndCount : new double[][] {{3.99, 0}, {4.01, 1}, {4.02, 2}}) {
      double bandwidth = 2 * nearAndCount[0];
      ThresholdGradient rule = ThresholdGradient.kernelDensity(bandwidth);
      Gradients.backward(ClipFunctions.untied(x, cut, value, rule, ThresholdGradient.SUM), g);
      assertArrayEquals(new double[] {nearAndCount[1] / bandwidth}, Gradients.take(cut), 1e-6);
    }
  }

  /** The rectangle is open: |x − t| < ε/2. */
  @Test
  void theKernelSumsTheJumpOverTheBandwidth() {
    Tensor x = Tensor.create(0.5, 0.75, 1, 1.25, 1.5, 9);
    Tensor g = Tensor.create(1.0, 2, 4, 8, 16, 32);
    Tensor cut = Gradients.leaf(Tensor.create(1.0));
    Tensor value = Tensor.create(0.25);
    Tensor y =
        ClipFunctions.untied(
            x, cut, value, ThresholdGradient.kernelDensity(1), ThresholdGradient.SUM);
    Gradients.backward(y, g);
    assertArrayEquals(new double[] {(2 + 4 + 8) * 0.75}, Gradients.take(cut));
    Tensor b = Tensor.create(-0.25);
    Tensor gated = ClipFunctions.generalizedRelu(x, b, cut, ThresholdGradient.kernelDensity(0.5));
    Gradients.backward(gated, g);
    assertArrayEquals(new double[] {4 / 0.5 * -0.75}, Gradients.take(cut));
  }

  /** In float16 the number of the clipped would be infinite, and the mean 0. */
  @ParameterizedTest
  @ValueSource(strings = {"Half", "BFloat16", "Float", "Double"})
  void aMeanOverManyIsRightForThresholdsOfAnyDtype(String dtype) {
    ScalarType type = ScalarType.valueOf(dtype);
    Tensor x = torch.ones(100_001).to(type);
    Tensor t = Gradients.leaf(Tensor.create(0.5f).to(type));
    Gradients.backward(ClipFunctions.clip(x, t, ThresholdGradient.MEAN), x);
    assertArrayEquals(new double[] {1}, Gradients.take(t));
  }

  /** A scaled loss has large gradients, and 5,000 / 0.01 is beyond float16. */
  @Test
  void theKernelIsSummedInFloat32() {
    Tensor x = Tensor.create(0f, 1f, 2f).to(ScalarType.Half);
    Tensor g = torch.full(new long[] {3}, new Scalar(5000)).to(ScalarType.Half);
    Tensor cut = Gradients.leaf(Tensor.create(1f));
    Tensor value = Tensor.create(0.25f);
    ThresholdGradient rule = ThresholdGradient.kernelDensity(0.01);
    Gradients.backward(ClipFunctions.untied(x, cut, value, rule, ThresholdGradient.SUM), g);
    assertArrayEquals(new double[] {375_000}, Gradients.take(cut), 0.1);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, Integer.MIN_VALUE})
  void levelsBelowOneAreOneSentence(int levels) {
    assertRefused(
        "levels (" + levels + ") must be at least 1",
        assertThrows(ActclipException.class, () -> ThresholdGradient.lsq(levels)));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -0.5, 1e-40, Double.NaN, Double.POSITIVE_INFINITY, 1e39})
  void badBandwidthsAreOneSentence(double bandwidth) {
    assertRefused(
        "the bandwidth ("
            + bandwidth
            + ") must be above 0 and a normal float32 number, 1.17549435E-38 to 3.4028235E38",
        assertThrows(ActclipException.class, () -> ThresholdGradient.kernelDensity(bandwidth)));
  }

  private static void assertRefused(String sentence, ActclipException e) {
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }

  @Test
  void aWrongShapeFromALambdaIsAnError() {
    Tensor t = Gradients.leaf(Gradients.normal(3));
    Tensor y = ClipFunctions.clip(Gradients.normal(4, 3), t, s -> torch.zeros(2));
    assertThrows(RuntimeException.class, () -> y.sum().backward());
  }
}
