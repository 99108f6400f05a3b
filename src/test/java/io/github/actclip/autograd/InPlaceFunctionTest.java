package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** ReLU and a limit that take the place of their input: the numbers. */
class InPlaceFunctionTest {

  static {
    LibTorch.load();
  }

  private static final double INF = Double.POSITIVE_INFINITY;

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(83);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** Often equal to a threshold of eighths, often 0, sometimes a number that is special. */
  private static Tensor values(long... shape) {
    Tensor values = torch.randint(-12, 13, shape).to(ScalarType.Float).div(new Scalar(8));
    for (double special : new double[] {-0.0, INF, -INF, Double.NaN, 1e-30, 0.49999997}) {
      values.masked_fill_(torch.rand(shape).lt(new Scalar(0.03)), new Scalar(special));
    }
    return values;
  }

  /** 27,648 elements. */
  private static Tensor images() {
    return values(24, 8, 12, 12);
  }

  private static Tensor perChannel() {
    return Tensor.create(0.5, 0, -0.25, 1, INF, Double.NaN, -0.0, 1.5).view(8, 1, 1);
  }

  private static Stream<Arguments> cases() {
    Map<String, UnaryOperator<Tensor>> layouts =
        Map.of(
            "contiguous", x -> x.contiguous(),
            "channels last", x -> x.contiguous(MemoryFormat.ChannelsLast),
            "another order", x -> x.transpose(0, 3).contiguous().transpose(0, 3));
    return Stream.of(InPlaceWay.values())
        .flatMap(
            way ->
                Stream.of(ScalarType.Float, ScalarType.Double, ScalarType.BFloat16, ScalarType.Half)
                    .flatMap(
                        type ->
                            layouts.entrySet().stream()
                                .map(e -> Arguments.of(way, type, e.getKey(), e.getValue()))));
  }

  @ParameterizedTest(name = "{0}, {1}, {2}")
  @MethodSource("cases")
  void hasTheBitsOfTheWayOutOfPlace(
      InPlaceWay way, ScalarType type, String name, UnaryOperator<Tensor> layout) {
    Tensor values = layout.apply(images().to(type));
    Tensor g = torch.randn(values.shape()).to(type);
    for (Tensor t :
        List.of(
            Tensor.create(0.5f),
            Tensor.create(0.25).view(1, 1, 1),
            perChannel().to(ScalarType.Float),
            perChannel().to(type),
            values(8, 1, 1).abs().add(new Scalar(0.125)))) {
      assertSameBits(way, values, t, g);
      assertSameBits(way, values, t, layout.apply(g));
      assertSameBits(way, values, t, torch.ones(1).to(type).expand(values.shape()));
    }
  }

  private static void assertSameBits(InPlaceWay way, Tensor values, Tensor threshold, Tensor g) {
    Tensor leaf = Gradients.leaf(values);
    Tensor t = Gradients.leaf(threshold);
    Tensor expected = way.outOfPlace(InPlaceWay.intermediate(leaf), t);
    Gradients.send(expected, g);
    Tensor byX = leaf.grad().clone();
    Tensor byT = t.grad().clone();
    Gradients.take(leaf);
    Gradients.take(t);

    Tensor x = InPlaceWay.intermediate(leaf);
    Tensor y = way.inPlace(x, t);
    InPlaceWay.assertTaken(true, x, y);
    Bits.assertSame(expected, y, "output");
    Gradients.send(y, g);
    Bits.assertSame(byX, leaf.grad(), "by x");
    Bits.assertSame(byT, t.grad(), "by t");
    assertSameBitsWithoutAGradient(way, values, threshold, expected);
  }

  private static void assertSameBitsWithoutAGradient(
      InPlaceWay way, Tensor values, Tensor t, Tensor expected) {
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      Tensor x = values.clone();
      Tensor y = way.inPlace(x, t);
      InPlaceWay.assertTaken(true, x, y);
      assertFalse(y.requires_grad());
      Bits.assertSame(expected, y, "output without a gradient");
      Bits.assertSame(expected, way.inPlace(values.repeat(2, 1, 1, 1).narrow(0, 0, 24), t), "half");
      Tensor withGaps = torch.stack(new TensorVector(values, values), -1);
      Bits.assertSame(expected, way.inPlace(withGaps.select(-1, 1), t), "with gaps");
    }
  }

  /** By each element they are those of LibTorch's operations on float64. */
  @Test
  void theClipsGradientsAreThoseOfTheFormula() {
    Tensor leaf = Gradients.leaf(Gradients.normal(30_000));
    Tensor t = Gradients.leaf(Tensor.create(0.5));
    Tensor g = Gradients.normal(30_000);
    Tensor values = leaf.detach();
    Tensor above = values.gt(t);
    Gradients.backward(ClipFunctions.reluInPlace(InPlaceWay.intermediate(leaf), t), g);
    Tensor passes = values.gt(new Scalar(0)).logical_and(above.logical_not());
    assertArrayEquals(Fixture.values(torch.where(passes, g, new Scalar(0))), Gradients.take(leaf));
    double byT = g.mul(above).sum().item_double();
    assertArrayEquals(new double[] {byT}, Gradients.take(t), 1e-10);
  }

  /** All elements are moved at once, as none of them changes another one's output. */
  @Test
  void theClipsGradientsAreThoseOfDifferences() {
    double h = 1e-6;
    Tensor x = Gradients.leaf(Gradients.normal(30_000));
    Tensor t = Gradients.leaf(Tensor.create(0.5));
    Tensor g = Gradients.normal(30_000);
    Tensor edges =
        x.detach().abs().lt(new Scalar(h)).logical_or(x.detach().sub(t).abs().lt(new Scalar(h)));
    Gradients.backward(ClipFunctions.reluInPlace(InPlaceWay.intermediate(x), t), g);
    Tensor byX = x.grad().clone();
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      Tensor step = Tensor.create(h);
      Tensor right = ClipFunctions.reluInPlace(x.add(step), t);
      Tensor left = ClipFunctions.reluInPlace(x.sub(step), t);
      Tensor wrong = right.sub(left).div(new Scalar(2 * h)).mul(g).sub(byX);
      assertEquals(0, wrong.masked_fill(edges, new Scalar(0)).abs().max().item_double(), 1e-8);
      Tensor higher = ClipFunctions.reluInPlace(x.clone(), t.add(step));
      Tensor lower = ClipFunctions.reluInPlace(x.clone(), t.sub(step));
      double byT = higher.sub(lower).mul(g).sum().item_double() / (2 * h);
      assertEquals(byT, t.grad().item_double(), 1e-3);
    }
  }

  /** PACT's: straight through where it rounds, and the last code for the scale above it. */
  @Test
  void theQuantizersGradientsAreThoseOfThePaper() {
    Tensor leaf = Gradients.leaf(Gradients.normal(30_000));
    Tensor scale = Gradients.leaf(Tensor.create(0.5 / InPlaceWay.HIGH));
    Tensor g = Gradients.normal(30_000);
    Tensor values = leaf.detach();
    Tensor above = values.gt(new Scalar(0.5));
    Gradients.backward(InPlaceWay.QUANTIZER.inPlace(InPlaceWay.intermediate(leaf), scale), g);
    Tensor passes = values.gt(new Scalar(0)).logical_and(above.logical_not());
    assertArrayEquals(Fixture.values(torch.where(passes, g, new Scalar(0))), Gradients.take(leaf));
    double byScale = g.mul(above).sum().item_double() * InPlaceWay.HIGH;
    assertArrayEquals(new double[] {byScale}, Gradients.take(scale), 1e-8);
  }

  /** As a tie is not above, and 0 · ∞ must not get into a sum. */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void whatIsNotAboveAddsNothingWhateverItsGradientIs(InPlaceWay way) {
    Tensor leaf = Gradients.leaf(torch.full(new long[] {30_000}, new Scalar(0.5)));
    leaf.detach().narrow(0, 0, 10_000).fill_(new Scalar(-1));
    leaf.detach().narrow(0, 10_000, 1).fill_(new Scalar(4));
    Tensor g = torch.full(new long[] {30_000}, new Scalar(INF));
    g.narrow(0, 20_000, 5_000).fill_(new Scalar(Double.NaN));
    g.narrow(0, 10_000, 1).fill_(new Scalar(3));
    for (boolean inPlace : new boolean[] {true, false}) {
      Tensor t = Gradients.leaf(Tensor.create(way == InPlaceWay.CLIP ? 0.5f : 0.5f / 8));
      Tensor x = InPlaceWay.intermediate(leaf);
      Tensor y = inPlace ? way.inPlace(x, t) : way.outOfPlace(x, t);
      Gradients.send(y, g);
      assertArrayEquals(new double[] {way == InPlaceWay.CLIP ? 3 : 45}, Gradients.take(t));
      double[] byX = Gradients.take(leaf);
      assertEquals(0, byX[0]);
      assertEquals(0, byX[10_000]);
      assertEquals(INF, byX[10_001]);
    }
  }
}
