package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.op.QuantizeOp;
import io.github.actclip.op.ScaleGradient;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.Locale;
import java.util.stream.IntStream;
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
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Fake quantization against the papers' formulas in Python's PyTorch. */
class FakeQuantizeFunctionTest {

  static {
    LibTorch.load();
  }

  private static final Fixture FIXTURE = Fixture.load("clip");

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(31);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<Arguments> fixtureCases() {
    return IntStream.range(0, FIXTURE.at("quantizers").size())
        .mapToObj(i -> Arguments.of(describe("quantizers/" + i), "quantizers/" + i));
  }

  private static String describe(String path) {
    return String.format(
        Locale.ROOT,
        "%s, %s bits, signed %s, %s channels",
        FIXTURE.at(path + "/method").asText(),
        FIXTURE.at(path + "/bits"),
        FIXTURE.at(path + "/signed"),
        FIXTURE.at(path + "/parameters/0/values").size());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("fixtureCases")
  void equalsThePapersInPythonsPyTorch(String name, String path) {
    Tensor x = Gradients.leaf(FIXTURE.tensor(path + "/x"));
    JsonNode stored = FIXTURE.at(path + "/parameters");
    Tensor[] parameters = new Tensor[stored.size()];
    for (int i = 0; i < parameters.length; i++) {
      parameters[i] = Gradients.leaf(FIXTURE.tensor(path + "/parameters/" + i));
    }
    Tensor y = quantize(path, x, parameters);
    Gradients.backward(y, FIXTURE.tensor("g"));
    assertArrayEquals(FIXTURE.doubles(path + "/y/values"), Fixture.values(y), 1e-13);
    assertArrayEquals(FIXTURE.doubles(path + "/dx/values"), Gradients.take(x), 1e-14);
    for (int i = 0; i < parameters.length; i++) {
      double[] expected = FIXTURE.doubles(path + "/gradients/" + i + "/values");
      assertArrayEquals(expected, Gradients.take(parameters[i]), 1e-10, "parameter " + i);
    }
  }

  private static Tensor quantize(String path, Tensor x, Tensor[] parameters) {
    String method = FIXTURE.at(path + "/method").asText();
    int bits = FIXTURE.at(path + "/bits").asInt();
    boolean signed = FIXTURE.at(path + "/signed").asBoolean();
    int high = (1 << (signed ? bits - 1 : bits)) - 1;
    int low = signed ? -high - 1 : 0;
    Tensor first = parameters[0];
    Tensor none = torch.zeros_like(first);
    return switch (method) {
      case "pact" -> {
        Tensor scale = first.div(new Scalar(high));
        int bottom = signed ? -high : 0;
        yield new FakeQuantizeFunction(bottom, high, ScaleGradient.CLIPPED).apply(x, scale, none);
      }
      case "lsq" -> scaled(low, high).apply(x, first, none);
      case "lsq_plus" -> scaled(low, high).apply(x, first, parameters[1]);
      case "tqt" -> {
        Tensor scale = new Ceil().apply(first).exp2().div(new Scalar(high + 1));
        yield new FakeQuantizeFunction(low, high, ScaleGradient.ROUNDED).apply(x, scale, none);
      }
      default -> throw new AssertionError(method);
    };
  }

  private static FakeQuantizeFunction scaled(int low, int high) {
    return new FakeQuantizeFunction(low, high, ScaleGradient.ROUNDED_AND_SCALED);
  }

  /** What is left of rounding when the codes are many: nothing, and the gradients are exact. */
  @ParameterizedTest
  @EnumSource(ScaleGradient.class)
  void aFineQuantizerIsAClip(ScaleGradient rule) {
    int high = 1 << 20;
    Tensor x = Gradients.leaf(Gradients.normal(100));
    Tensor scale = Tensor.create(0.5 / high);
    Tensor y = new FakeQuantizeFunction(0, high, rule).apply(x, scale, torch.zeros_like(scale));
    y.sum().backward();
    double[] expected = Fixture.values(x.clamp_min(new Scalar(0)).clamp_max(new Scalar(0.5)));
    assertArrayEquals(expected, Fixture.values(y), 0.25 / high + 1e-15);
    double[] passed =
        Fixture.values(x.gt(new Scalar(0)).logical_and(x.lt(new Scalar(0.5))).to(ScalarType.Float));
    assertArrayEquals(passed, Gradients.take(x));
  }

  @Test
  void nanStaysNanAndInfinityIsTheLargestCode() {
    double inf = Double.POSITIVE_INFINITY;
    Tensor x = Gradients.leaf(Tensor.create(Double.NaN, inf, -inf, 0, -0.0));
    Tensor scale = Tensor.create(0.5);
    Tensor y = scaled(-2, 1).apply(x, scale, torch.zeros_like(scale));
    y.sum().backward();
    assertArrayEquals(new double[] {Double.NaN, 0.5, -1, 0, 0}, Fixture.values(y), 0);
    assertArrayEquals(new double[] {1, 0, 0, 1, 1}, Gradients.take(x));
  }

  @Test
  void roundsHalvesToTheEvenCode() {
    Tensor x = Tensor.create(0.5, 1.5, 2.5, -0.5, -1.5);
    Tensor one = Tensor.create(1.0);
    Tensor position = QuantizeOp.position(x, one, torch.zeros_like(one));
    assertArrayEquals(
        new double[] {0, 2, 2, 0, -2}, Fixture.values(QuantizeOp.codes(position, -8, 7)), 0);
  }

  @Test
  void integerCodesAreDequantizedInFloat32() {
    Tensor codes = Tensor.create(0, 3, -4).to(ScalarType.Char);
    Tensor y = QuantizeOp.dequantize(codes, Tensor.create(0.25f), Tensor.create(-1f));
    assertEquals(ScalarType.Float, y.scalar_type().intern());
    assertArrayEquals(new double[] {-1, -0.25, -2}, Fixture.values(y));
  }

  @Test
  void emptyAndStridedActivations() {
    Tensor scale = Gradients.leaf(Tensor.create(0.5));
    Tensor offset = torch.zeros_like(scale);
    Tensor empty = Gradients.leaf(Gradients.normal(0, 3));
    scaled(0, 3).apply(empty, scale, offset).sum().backward();
    assertArrayEquals(new double[] {0}, Gradients.take(scale));
    assertArrayEquals(new long[] {0, 3}, empty.grad().shape());

    Tensor strided = Gradients.normal(4, 6).t().narrow(0, 1, 3);
    Tensor y = scaled(0, 3).apply(strided, scale, offset);
    assertArrayEquals(
        Fixture.values(scaled(0, 3).apply(strided.contiguous(), scale, offset)), Fixture.values(y));
  }

  @Test
  void aScaleOfOneElementMayHaveMoreDimensionsThanTheActivations() {
    Tensor scale = Gradients.leaf(torch.ones(1, 1, 1));
    Tensor offset = Gradients.leaf(torch.zeros(1));
    for (Tensor x : new Tensor[] {Tensor.create(7f).squeeze(), Tensor.create(7f, 7f)}) {
      Tensor y = scaled(0, 3).apply(x, scale, offset);
      assertArrayEquals(x.shape(), y.shape());
      y.sum().backward();
      double byOffset = x.numel() / Math.sqrt(x.numel() * 3);
      assertArrayEquals(new double[] {3 * byOffset}, Gradients.take(scale), 1e-6);
      assertArrayEquals(new double[] {byOffset}, Gradients.take(offset), 1e-6);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = ScalarType.class,
      names = {"Float", "BFloat16", "Half"})
  void smallDtypesAreComputedInFloat32(ScalarType type) {
    Tensor x = Gradients.leaf(torch.randn(2000).to(type));
    Tensor scale = Gradients.leaf(Tensor.create(0.11f));
    Tensor offset = Gradients.leaf(Tensor.create(-0.3f));
    Tensor y = scaled(0, 15).apply(x, scale, offset);
    y.sum().backward();
    double[] byScale = Gradients.take(scale);
    double[] byOffset = Gradients.take(offset);
    assertEquals(type, y.scalar_type().intern());
    assertEquals(type, x.grad().scalar_type().intern());

    Tensor wide = x.detach().to(ScalarType.Float);
    Tensor expected = scaled(0, 15).apply(wide, scale, offset);
    expected.sum().backward();
    assertArrayEquals(Fixture.values(expected.to(type)), Fixture.values(y));
    assertArrayEquals(Gradients.take(scale), byScale, 1e-6);
    assertArrayEquals(Gradients.take(offset), byOffset, 1e-6);
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "1, 3", "-8, -1", "3, -3"})
  void codesThatDoNotHoldZeroAndMoreAreOneSentence(int low, int high) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> new FakeQuantizeFunction(low, high, ScaleGradient.ROUNDED));
    assertEquals(
        "codes from " + low + " to " + high + ": low must be at most 0, and high above 0",
        e.getMessage());
    assertTrue(e.isBadInput());
  }
}
