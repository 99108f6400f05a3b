package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.nio.DoubleBuffer;
import java.util.Arrays;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Thresholds against numpy's, by {@code src/test/python/make_calibration_fixture.py}. */
class CalibrationTest {

  /** The same numbers, but divided and multiplied in another order. */
  private static final double ROUNDED = 1e-12;

  /** What {@link Calibration#MSE} promises of the mean error. */
  private static final double MSE_ACCURACY = 0.01;

  /** From one of its candidates to the next. */
  private static final double CANDIDATE_SPACING = Math.pow(2, 1 / 256.0) - 1;

  private static final Fixture FIXTURE = Fixture.load("calibration");
  private static final int COUNT = FIXTURE.at("count").asInt();

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(3);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @CsvSource({
    "bell, 2",
    "bell, 4",
    "bell, 8",
    "tail, 2",
    "tail, 4",
    "tail, 8",
    "outlier, 2",
    "outlier, 4",
    "outlier, 8"
  })
  void isNumpys(String data, int bits) {
    double[] values = data(data);
    for (boolean signed : new boolean[] {false, true}) {
      String path = data + "/" + (signed ? "signed" : "unsigned") + bits;
      assertRelative(path + "/max", Calibration.MAX, values, bits, signed);
      assertRelative(path + "/percentile", Calibration.PERCENTILE, values, bits, signed);
      assertRelative(path + "/kl/threshold", Calibration.KL, values, bits, signed);
      double mse = threshold(Calibration.MSE, values, bits, signed);
      double error = meanSquareError(values, mse, bits, signed);
      double expected = FIXTURE.at(path + "/mse/error").asDouble();
      assertEquals(expected, error, MSE_ACCURACY * expected, path + ": error at " + mse);
    }
  }

  private void assertRelative(
      String path, Calibration calibration, double[] values, int bits, boolean signed) {
    double expected = FIXTURE.at(path).asDouble();
    double actual = threshold(calibration, values, bits, signed);
    assertEquals(expected, actual, ROUNDED * expected, path);
  }

  /** Against a grid four times as fine, and no candidate of which is one of ours. */
  @ParameterizedTest
  @CsvSource({"bell, 3", "bell, 6", "bell, 8", "tail, 3", "tail, 8", "outlier, 5", "outlier, 8"})
  void noThresholdHasAMuchSmallerMeanSquareError(String data, int bits) {
    double[] values = data(data);
    double max = threshold(Calibration.MAX, values, bits, true);
    double mse = threshold(Calibration.MSE, values, bits, true);
    double least =
        IntStream.range(0, 6_803) // down to max / 100
            .mapToDouble(i -> max * Math.pow(2, -(i + 0.5) / 1024))
            .map(threshold -> meanSquareError(values, threshold, bits, true))
            .min()
            .getAsDouble();
    double error = meanSquareError(values, mse, bits, true);
    assertTrue(error <= least * (1 + MSE_ACCURACY), () -> error + " against " + least);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 8})
  void evenlyDistributedValues(int bits) {
    int count = 2048 * 100;
    double[] values = IntStream.range(0, count).mapToDouble(i -> 3 * (i + 0.5) / count).toArray();
    double max = 3 * (count - 0.5) / count;
    double rank = 0.999 * (count - 1);
    int steps = steps(bits, false);
    assertEquals(max, threshold(Calibration.MAX, values, bits, false));
    assertEquals(
        3 * (rank + 0.5) / count, threshold(Calibration.PERCENTILE, values, bits, false), 1e-9);
    // All bins are full alike, so merging them loses nothing, and clipping does.
    assertEquals(max, threshold(Calibration.KL, values, bits, false));
    // The integral is T³/(12 n²) + (1 − T)³/3 for n steps: least at T = 2n/(2n + 1).
    double least = 3 * 2 * steps / (2 * steps + 1.0);
    assertEquals(least, threshold(Calibration.MSE, values, bits, false), CANDIDATE_SPACING * least);
  }

  /**
   * The half normal distribution's best uniform quantizer, by the integral of its error over the
   * density, which needs no sample. The curve is flat: a threshold 3 % off costs 0.1 %.
   */
  @ParameterizedTest
  @ValueSource(ints = {2, 4, 8})
  void normallyDistributedValues(int bits) {
    double[] values = Fixture.values(torch.randn(1_000_000));
    double mse = threshold(Calibration.MSE, values, bits, true);
    double[] grid = IntStream.range(0, 70_000).mapToDouble(i -> (i + 0.5) / 10_000).toArray();
    double[] density = Arrays.stream(grid).map(x -> Math.exp(-x * x / 2)).toArray();
    double least = Double.POSITIVE_INFINITY;
    double best = 0;
    for (double threshold = 0.5; threshold < 6; threshold += 0.01) {
      double error = 0;
      for (int i = 0; i < grid.length; i++) {
        error += density[i] * squareError(grid[i], threshold, steps(bits, true));
      }
      if (error < least) {
        least = error;
        best = threshold;
      }
    }
    assertEquals(best, mse, 0.03 * best);
  }

  @Test
  void percentileInterpolatesBetweenTheTwoLargestOfFew() {
    // n = 4: h = 2.997 between the third and the fourth of 1, 2, 3, 7; what is not above 0 is out.
    double[] values = {0, 3, -5, 7, 1, 0, 2};
    assertEquals(3 + 0.997 * 4, threshold(Calibration.PERCENTILE, values, 8, false), 1e-12);
    // n = 5: h = 3.996 between 5 and 7.
    assertEquals(5 + 0.996 * 2, threshold(Calibration.PERCENTILE, values, 8, true), 1e-12);
  }

  @ParameterizedTest
  @EnumSource(Calibration.class)
  void aLoneValueIsTheThresholdWhateverTheOthersBecome(Calibration calibration) {
    double[] values = new double[2_000];
    Arrays.fill(values, -1);
    values[700] = 0.3;
    assertEquals(0.3, threshold(calibration, values, 8, false), 1e-15);
  }

  @ParameterizedTest
  @EnumSource(
      value = Calibration.class,
      names = {"PERCENTILE", "MSE", "KL"})
  void aLoneOutlierMovesOnlyTheMax(Calibration calibration) {
    double[] values = Fixture.values(torch.randn(200_000));
    double without = threshold(calibration, values, 4, true);
    values[77] = -20;
    double with = threshold(calibration, values, 4, true);
    assertEquals(20, threshold(Calibration.MAX, values, 4, true));
    // The bins of KL are five times as wide with it, and its minimum is flat.
    assertEquals(without, with, (calibration == Calibration.KL ? 0.3 : 0.02) * without);
  }

  @ParameterizedTest
  @EnumSource(Calibration.class)
  void scalesWithTheValues(Calibration calibration) {
    double[] values = data("tail");
    double threshold = threshold(calibration, values, 4, false);
    for (double factor : new double[] {2, 0x1p-900, 0x1p+900}) {
      double[] scaled = Arrays.stream(values).map(value -> factor * value).toArray();
      assertEquals(factor * threshold, threshold(calibration, scaled, 4, false));
    }
    double[] tripled = Arrays.stream(values).map(value -> 3 * value).toArray();
    assertEquals(3 * threshold, threshold(calibration, tripled, 4, false), 1e-12 * threshold);
  }

  @ParameterizedTest
  @EnumSource(Calibration.class)
  void isAboveZeroForTheLeastOfNumbers(Calibration calibration) {
    double[] values = {Double.MIN_VALUE, Double.MIN_VALUE};
    assertEquals(Double.MIN_VALUE, threshold(calibration, values, 2, true));
  }

  @ParameterizedTest
  @EnumSource(Calibration.class)
  void narrowDtypesGiveWhatTheirValuesGiveInFloat64(Calibration calibration) {
    Tensor values = tensor(data("bell"));
    for (ScalarType dtype :
        new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
      Tensor narrow = values.to(dtype);
      double expected = calibration.threshold(narrow.to(ScalarType.Double), 4, true);
      assertEquals(expected, calibration.threshold(narrow, 4, true), dtype.toString());
    }
  }

  @ParameterizedTest
  @EnumSource(Calibration.class)
  void stridesShapeAndGradientDoNotMatterAndNothingIsChanged(Calibration calibration) {
    Tensor flat = tensor(data("bell"));
    double expected = calibration.threshold(flat, 4, false);
    Tensor strided = torch.zeros(new long[] {100, 2, 100}).to(ScalarType.Double);
    strided.select(1, 1).copy_(flat.view(100, 100));
    Tensor view = strided.select(1, 1).t();
    assertEquals(expected, calibration.threshold(view, 4, false));
    Tensor leaf = flat.clone().requires_grad_(true);
    assertEquals(expected, calibration.threshold(leaf, 4, false));
    assertEquals(expected, calibration.threshold(leaf.clone().view(10, 20, 50), 4, false));
    assertArrayEquals(data("bell"), Fixture.values(view.t().flatten()));
    assertEquals(5, calibration.threshold(torch.tensor(5.0), 4, false), 1e-15);
  }

  /** More than LibTorch's quantile takes, and more than float32 can count in one bin. */
  @ParameterizedTest
  @EnumSource(Calibration.class)
  void manyValues(Calibration calibration) {
    long count = 18_000_000;
    Tensor values = torch.ones(count);
    values.narrow(0, 0, count / 100).fill_(new Scalar(4));
    // The fours are 1 %, and the bins of the two are the only full ones: nothing may be clipped.
    double expected = calibration == Calibration.MSE ? mseOfOnesAndFours() : 4;
    assertEquals(expected, calibration.threshold(values, 4, false), 1e-12);
  }

  /** Of the documented candidates, on the two values themselves. */
  private static double mseOfOnesAndFours() {
    double best = 4;
    double least = Double.POSITIVE_INFINITY;
    for (int i = 0; i <= 2560; i++) {
      double threshold = 4 * Math.pow(2, -i / 256.0);
      double error = 99 * squareError(1, threshold, 15) + squareError(4, threshold, 15);
      if (error < least) {
        least = error;
        best = threshold;
      }
    }
    return best;
  }

  @Test
  void badInput() {
    Tensor fine = torch.ones(3);
    assertRefused("bits (1) must be 2 to 8", fine, 1, false);
    assertRefused("bits (9) must be 2 to 8", fine, 9, true);
    String undefined =
        "the values are an undefined tensor: calibration needs at least one value above 0";
    assertRefused(undefined, new Tensor(), 8, false);
    Tensor closed = torch.ones(1);
    closed.close();
    assertRefused(undefined, closed, 8, false);
    assertRefused(
        "the values have the shape [0, 3], which is empty: calibration needs at least one above 0",
        torch.ones(0, 3),
        8,
        false);
    assertRefused(
        "the values are Int: calibration takes Double, Float, BFloat16 or Half",
        fine.to(ScalarType.Int),
        8,
        false);
    assertRefused("the largest value is -1.0: calibration needs one above 0", fine.neg(), 8, false);
    assertRefused(
        "the largest magnitude is 0.0: calibration needs one above 0", torch.zeros(3), 8, true);
  }

  @ParameterizedTest
  @CsvSource({"NaN, NaN, 2", "Infinity, 1, 1", "-Infinity, NaN, 2"})
  void refusesWhatIsNotFinite(double first, double second, int count) {
    Tensor values = tensor(new double[] {1, first, -1, second, 0});
    String message = count + " of the 5 values are NaN or infinite: calibration needs finite ones";
    assertRefused(message, values, 8, false);
    assertRefused(message, values.to(ScalarType.Half), 8, true);
  }

  private static void assertRefused(String message, Tensor values, int bits, boolean signed) {
    for (Calibration calibration : Calibration.values()) {
      ActclipException e =
          assertThrows(ActclipException.class, () -> calibration.threshold(values, bits, signed));
      assertEquals(message, e.getMessage());
      assertTrue(e.isBadInput());
    }
  }

  private static double threshold(
      Calibration calibration, double[] values, int bits, boolean signed) {
    return calibration.threshold(tensor(values), bits, signed);
  }

  private static Tensor tensor(double[] values) {
    Tensor tensor = torch.zeros(values.length).to(ScalarType.Double);
    DoubleBuffer buffer = tensor.createBuffer();
    buffer.put(values);
    return tensor;
  }

  private static int steps(int bits, boolean signed) {
    return (1 << (signed ? bits - 1 : bits)) - 1;
  }

  private static double meanSquareError(
      double[] values, double threshold, int bits, boolean signed) {
    return Arrays.stream(values)
        .map(value -> signed ? Math.abs(value) : Math.max(value, 0))
        .map(value -> squareError(value, threshold, steps(bits, signed)))
        .average()
        .getAsDouble();
  }

  private static double squareError(double value, double threshold, int steps) {
    double step = threshold / steps;
    double error = Math.min(Math.rint(value / step), steps) * step - value;
    return error * error;
  }

  /** The generator's data, bit by bit. */
  private static double[] data(String name) {
    if (name.equals("tail")) {
      double[] u = uniform(2 * COUNT);
      return IntStream.range(0, COUNT).mapToDouble(i -> u[2 * i] / (u[2 * i + 1] + 0.02)).toArray();
    }
    double[] u = uniform(12 * COUNT);
    double[] values = new double[COUNT];
    for (int i = 0; i < u.length; i++) {
      values[i / 12] += u[i];
    }
    values = DoubleStream.of(values).map(sum -> sum - 6).toArray();
    if (name.equals("outlier")) {
      values[COUNT - 1] = 25;
    }
    return values;
  }

  private static double[] uniform(int count) {
    long state = FIXTURE.at("seed").asLong();
    double[] numbers = new double[count];
    for (int i = 0; i < count; i++) {
      state = (1103515245 * state + 12345) % (1L << 31);
      numbers[i] = state / 0x1p31;
    }
    return numbers;
  }
}
