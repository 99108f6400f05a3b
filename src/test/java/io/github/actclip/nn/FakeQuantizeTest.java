package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The quantizing layer: its parameters and its integer view. The gradients are autograd's. */
class FakeQuantizeTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(23);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<Arguments> everyKind() {
    return Stream.of(QuantizationMethod.values())
        .flatMap(
            method ->
                Stream.of(2, 3, 8)
                    .flatMap(
                        bits ->
                            Stream.of(true, false)
                                .flatMap(
                                    signed ->
                                        Stream.of(1, 3)
                                            .map(n -> Arguments.of(method, bits, signed, n)))));
  }

  @ParameterizedTest
  @MethodSource("everyKind")
  void codesStandForWhatForwardReturnsBitForBit(
      QuantizationMethod method, int bits, boolean signed, int channels) {
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(method, bits, signed, 1.3, channels, 1));
    if (method == QuantizationMethod.LSQ_PLUS) {
      layer.thresholds().get(1).set(-0.17);
    }
    Tensor x = torch.randn(50, 3, 4);
    Tensor y = layer.forward(x);
    Tensor codes = layer.codes(x);
    assertEquals(signed ? ScalarType.Char : ScalarType.Byte, codes.scalar_type().intern());
    assertArrayEquals(Fixture.values(y), Fixture.values(layer.dequantize(codes)));
    double[] used = Arrays.stream(Fixture.values(codes)).distinct().sorted().toArray();
    assertEquals(layer.options().low(), used[0]);
    assertEquals(layer.options().high(), used[used.length - 1]);
    assertArrayEquals(Fixture.values(y), Fixture.values(layer.forward(y)), 1e-6); // idempotent
  }

  @ParameterizedTest
  @CsvSource({
    "PACT, 2, false, 0, 3",
    "PACT, 8, false, 0, 255",
    "PACT, 4, true, -7, 7",
    "LSQ, 2, false, 0, 3",
    "LSQ, 2, true, -2, 1",
    "LSQ_PLUS, 8, true, -128, 127",
    "TQT, 3, true, -4, 3"
  })
  void theCodesAreThoseOfThePapers(
      QuantizationMethod method, int bits, boolean signed, int low, int high) {
    FakeQuantizeOptions options = new FakeQuantizeOptions(method, bits, signed, 1, 1, 1);
    assertEquals(low, options.low());
    assertEquals(high, options.high());
  }

  @ParameterizedTest
  @CsvSource({"PACT, max", "LSQ, scale", "LSQ_PLUS, scale offset", "TQT, raw_max"})
  void parametersHaveTheirNames(QuantizationMethod method, String names) {
    FakeQuantize layer = new FakeQuantize(FakeQuantizeOptions.activations(method, 4));
    assertEquals(List.of(names.split(" ")), new ArrayList<>(StateDict.of(layer).keySet()));
  }

  @Test
  void pactIsThePapersFormula() {
    double alpha = 1.5;
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(QuantizationMethod.PACT, 3, false, alpha, 1, 1));
    double[] x = {-1, 0, 0.1, 0.2, 0.3, 0.77, 1.2, 1.49, 1.5, 1.6, 9};
    double[] expected =
        Arrays.stream(x)
            .map(v -> Math.rint(Math.max(0, Math.min(v, alpha)) * 7 / alpha) * alpha / 7)
            .toArray();
    Tensor y = layer.forward(Tensor.create(x));
    assertArrayEquals(expected, Fixture.values(y), 1e-6);
  }

  @Test
  void pactLearnsFromWhatItClipsAndTheOthersFromRoundingToo() {
    Tensor inside = Tensor.create(0.1f, 0.2f, 0.3f);
    FakeQuantize pact =
        new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 2));
    pact.forward(inside).sum().backward();
    assertEquals(0, gradient(pact, 0));
    pact.forward(Tensor.create(2f, 3f)).sum().backward();
    assertEquals(2, gradient(pact, 0), 1e-6);

    for (QuantizationMethod method :
        List.of(QuantizationMethod.LSQ, QuantizationMethod.LSQ_PLUS, QuantizationMethod.TQT)) {
      FakeQuantize layer = new FakeQuantize(FakeQuantizeOptions.activations(method, 2));
      layer.forward(inside).sum().backward();
      assertNotEquals(0, gradient(layer, 0), method + "");
    }
  }

  @ParameterizedTest
  @CsvSource({"1, false, 0.0625", "1.01, false, 0.125", "0.3, true, 0.0625", "4, true, 0.5"})
  void tqtsScaleIsAPowerOfTwo(double threshold, boolean signed, double scale) {
    FakeQuantize layer =
        new FakeQuantize(
            new FakeQuantizeOptions(QuantizationMethod.TQT, 4, signed, threshold, 1, 1));
    assertEquals(scale, layer.scale().item_double());
  }

  @ParameterizedTest
  @EnumSource(
      value = QuantizationMethod.class,
      names = {"TQT"},
      mode = EnumSource.Mode.EXCLUDE)
  void calibrationMakesTheLargestValueTheLargestCode(QuantizationMethod method) {
    FakeQuantize layer = new FakeQuantize(FakeQuantizeOptions.weights(method, 4, 3));
    Tensor weights = torch.randn(3, 10);
    layer.calibrate(weights, Calibration.MAX);
    assertArrayEquals(
        Fixture.values(weights.abs().amax(new long[] {1}, false)),
        Fixture.values(layer.upper()),
        1e-6);
  }

  @Test
  void zeroHasACodeOfItsOwnUnlessThereIsAnOffset() {
    FakeQuantize lsq = new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ, 4));
    assertArrayEquals(new double[] {0}, Fixture.values(lsq.zeroPoint()), 1e-9);
    assertArrayEquals(new double[] {0}, Fixture.values(lsq.offset()));
    FakeQuantize plus =
        new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ_PLUS, 2));
    plus.thresholds().get(1).set(-0.5);
    assertArrayEquals(new double[] {1.5}, Fixture.values(plus.zeroPoint()), 1e-6);
    assertArrayEquals(new double[] {0.5}, Fixture.values(plus.upper()), 1e-6);
  }

  @ParameterizedTest
  @MethodSource("everyKind")
  void theBackwardPassesOfAScaleThatFellBelowZeroBringItBack(
      QuantizationMethod method, int bits, boolean signed, int channels) {
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(method, bits, signed, 1, channels, 1));
    Tensor parameter = layer.thresholds().get(0).parameter();
    parameter.detach().fill_(new Scalar(method == QuantizationMethod.TQT ? -160 : -1));
    double least = Math.pow(2, -126); // the smallest normal float32 number
    double[] scales = new double[channels];
    Arrays.fill(scales, least);
    assertArrayEquals(scales, Fixture.values(layer.scale()));
    Tensor y = layer.forward(torch.tensor(1f).expand(5, 3, 2).contiguous());
    assertEquals(layer.options().high() * least, y.max().item_double());
    assertEquals(0, layer.forward(torch.zeros(5, 3, 2)).abs().max().item_double());
    y.mul(new Scalar(1e20)).sum().neg().backward();
    assertTrue(parameter.grad().max().item_double() < 0);
  }

  /** Powers of two change no digit, so nothing may depend on the size of what is quantized. */
  @ParameterizedTest
  @MethodSource("everyKind")
  void smallWeightsAreQuantizedAsOrdinaryOnes(
      QuantizationMethod method, int bits, boolean signed, int channels) {
    Tensor x = torch.randn(50, 3, 4);
    Tensor g = torch.randn(50, 3, 4);
    double[][] ordinary = quantize(method, bits, signed, channels, x, g, 1);
    for (int exponent : new int[] {-17, -30, -60, -100}) {
      double unit = Math.pow(2, exponent);
      double[][] small = quantize(method, bits, signed, channels, x, g, unit);
      assertArrayEquals(ordinary[0], small[0], "codes at 2^" + exponent);
      assertArrayEquals(times(ordinary[1], unit), small[1], "output at 2^" + exponent);
      assertArrayEquals(ordinary[2], small[2], "gradient by x at 2^" + exponent);
      if (method != QuantizationMethod.TQT) { // whose gradient is by the logarithm
        assertArrayEquals(ordinary[3], small[3], "gradient by the scale at 2^" + exponent);
      }
    }
  }

  private static double[][] quantize(
      QuantizationMethod method,
      int bits,
      boolean signed,
      int channels,
      Tensor x,
      Tensor g,
      double unit) {
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(method, bits, signed, 1, channels, 1));
    Tensor values = x.mul(new Scalar(unit)).requires_grad_(true);
    layer.calibrate(values, Calibration.MSE);
    Tensor y = layer.forward(values);
    y.mul(g).sum().backward();
    return new double[][] {
      Fixture.values(layer.codes(values)),
      Fixture.values(y),
      Fixture.values(values.grad()),
      Fixture.values(layer.thresholds().get(0).parameter().grad())
    };
  }

  private static double[] times(double[] values, double factor) {
    return Arrays.stream(values).map(v -> v * factor).toArray();
  }

  @ParameterizedTest
  @CsvSource({"LSQ, 7e-7", "LSQ_PLUS, 1e-20", "PACT, 3e-9", "LSQ, 2e-38", "PACT, 2e-38"})
  void aSmallScaleThatIsLoadedIsUsed(QuantizationMethod method, double loaded) {
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(method, 2, true, 1, 1, 1)); // high is 1
    layer.thresholds().get(0).parameter().detach().fill_(new Scalar(loaded));
    assertEquals((float) loaded, layer.scale().item_double());
  }

  /** What the options take, the layer takes. */
  @ParameterizedTest
  @MethodSource("everyKind")
  void thresholdsAreRefusedByTheOptionsOrNotAtAll(
      QuantizationMethod method, int bits, boolean signed, int channels) {
    int high = (1 << (signed ? bits - 1 : bits)) - 1;
    double steps = method == QuantizationMethod.TQT ? high + 1 : high;
    double least = steps * Math.pow(2, -126);
    double most = Math.pow(2, 126);
    for (double initial : new double[] {least, 1e-30, 1e-4, 1e30, most}) {
      FakeQuantize layer =
          new FakeQuantize(new FakeQuantizeOptions(method, bits, signed, initial, channels, 1));
      double scale = layer.scale().max().item_double();
      double expected =
          method == QuantizationMethod.TQT
              ? Math.pow(2, Math.ceil(Math.log(initial) / Math.log(2) - 1e-6)) / steps
              : initial / high;
      assertEquals(expected, scale, 1e-6 * expected, "from " + initial);
      Tensor extremes = layer.forward(torch.tensor(-Float.MAX_VALUE).expand(2, 3).contiguous());
      assertTrue(Double.isFinite(extremes.min().item_double()), "from " + initial);
    }
    double above = Math.nextUp(most);
    assertRefused(
        "the initial threshold ("
            + above
            + ") must be at most "
            + most
            + ": with a larger one a code may stand for no finite float32 number",
        () -> new FakeQuantizeOptions(method, bits, signed, above, channels, 1));
    assertRefused(
        "the initial threshold ("
            + least / 1.001
            + ") must be at least "
            + least
            + ": with a smaller one the scale is no normal float32 number",
        () -> new FakeQuantizeOptions(method, bits, signed, least / 1.001, channels, 1));
  }

  @Test
  void weightsWhoseScaleWouldBeSubnormalAreRefusedAndNothingChanges() {
    FakeQuantize layer =
        new FakeQuantize(FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 8, 3));
    double[] before = Fixture.values(layer.scale());
    Tensor weights = torch.ones(3, 2);
    weights.select(0, 1).fill_(new Scalar(0));
    weights.select(0, 2).fill_(new Scalar(Math.pow(2, -127)));
    assertRefused(
        "the threshold for these values ("
            + Math.pow(2, -127)
            + ") must be at least "
            + 127 * Math.pow(2, -126)
            + ": with a smaller one the scale is no normal float32 number",
        () -> layer.calibrate(weights, Calibration.MAX));
    assertArrayEquals(before, Fixture.values(layer.scale()));
    weights.select(0, 2).fill_(new Scalar(Math.pow(2, -100)));
    layer.calibrate(weights, Calibration.MAX);
    double[] after = Fixture.values(layer.scale());
    assertEquals(before[1], after[1]); // all zero: as it was
    assertEquals((float) (Math.pow(2, -100) / 127), after[2]);
  }

  @ParameterizedTest
  @EnumSource(QuantizationMethod.class)
  void halfPrecisionActivationsKeepTheirDtype(QuantizationMethod method) {
    FakeQuantize layer = new FakeQuantize(FakeQuantizeOptions.activations(method, 4));
    for (ScalarType type : List.of(ScalarType.BFloat16, ScalarType.Half, ScalarType.Double)) {
      Tensor x = torch.rand(20).to(type).requires_grad_(true);
      Tensor y = layer.forward(x);
      y.sum().backward();
      assertEquals(type, y.scalar_type().intern());
      assertEquals(type, x.grad().scalar_type().intern());
    }
  }

  @Test
  void badOptionsAreOneSentence() {
    assertRefused(
        "bits (1) must be 2 to 8",
        () -> FakeQuantizeOptions.activations(QuantizationMethod.PACT, 1));
    assertRefused(
        "bits (9) must be 2 to 8",
        () -> FakeQuantizeOptions.activations(QuantizationMethod.PACT, 9));
    assertRefused(
        "channels (0) must be 1 to 1048576",
        () -> FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 8, 0));
    assertRefused(
        "the initial threshold (NaN) must be above 0 and fit into a float",
        () -> new FakeQuantizeOptions(QuantizationMethod.LSQ, 8, true, Double.NaN, 1, 0));
  }

  @Test
  void integersAreOneSentence() {
    FakeQuantize layer =
        new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 4));
    assertRefused(
        "the activations: the dtype is Int, and a clip takes one of"
            + " [Half, Float, Double, BFloat16]",
        () -> layer.forward(torch.ones(3).to(ScalarType.Int)));
  }

  private static double gradient(FakeQuantize layer, int threshold) {
    return layer.thresholds().get(threshold).parameter().grad().item_double();
  }

  private static void assertRefused(String sentence, Executable executable) {
    ActclipException e = assertThrows(ActclipException.class, executable);
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
