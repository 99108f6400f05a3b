package io.github.actclip.nn;

import static io.github.actclip.nn.BatchNormRun.clip;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Gradients;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Numbers, against LibTorch's modules one by one, and both against the same in float64. */
class BatchNormClipTest {

  static {
    LibTorch.load();
  }

  /** How many times LibTorch's error ours may be, and the rounding of a result of one. */
  private static final double TIMES = 4;

  private static final double ROUNDING = 2e-7;

  private static final int STEPS = 3;

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

  /** By number of channels. */
  static Stream<IntFunction<ThresholdLayer>> everyLayer() {
    return Stream.concat(withAShortWay(), withoutAShortWay());
  }

  private static Stream<IntFunction<ThresholdLayer>> withAShortWay() {
    return Stream.of(
        c -> new Clip(new ClipOptions(ClipForm.NONE)),
        c -> new Clip(new ClipOptions(ClipForm.TIED).initial(0.8)),
        c -> new Clip(new ClipOptions(ClipForm.RELU).initial(0.8)),
        c -> new Clip(new ClipOptions(ClipForm.RELU).initial(0.8).perChannel(c, 1)),
        c -> new Clip(new ClipOptions(ClipForm.TIED).initial(0.8).perChannel(c, -3)),
        c -> {
          Clip frozen = new Clip(new ClipOptions(ClipForm.RELU).initial(0.8));
          frozen.freeze();
          return frozen;
        },
        c -> new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 4)),
        c -> new FakeQuantize(new FakeQuantizeOptions(QuantizationMethod.PACT, 2, false, 1, c, 1)));
  }

  private static Stream<IntFunction<ThresholdLayer>> withoutAShortWay() {
    return Stream.of(
        c -> new Clip(new ClipOptions(ClipForm.TWO_SIDED).initial(0.8)),
        c -> new Clip(new ClipOptions(ClipForm.UNTIED).initial(0.8)),
        c -> new Clip(new ClipOptions(ClipForm.SOFT).initial(0.8)),
        c -> new Clip(new ClipOptions(ClipForm.RELU).gradient(ThresholdGradient.MEAN)),
        c -> new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ, 4)));
  }

  @ParameterizedTest
  @MethodSource("everyLayer")
  void everyLayerIsTheModulesOneByOne(IntFunction<ThresholdLayer> made) {
    Tensor x = images(8, 16, 13, 13);
    assertExact(made, x, Optional.empty());
    assertExact(made, x, Optional.of(images(8, 16, 13, 13)));
  }

  static Stream<Arguments> shapes() {
    return Stream.of(
            new long[] {8, 1, 51, 51},
            new long[] {7, 3, 33, 31},
            new long[] {4, 24, 15, 15},
            new long[] {8, 64, 7, 7},
            new long[] {5, 100, 7, 7},
            new long[] {3, 192, 6, 7},
            new long[] {23, 960, 1, 1},
            new long[] {2, 10001, 1, 1},
            new long[] {3, 7000, 1, 1},
            new long[] {64, 16, 32, 32})
        .map(Arguments::of);
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void everyShape(long... shape) {
    List<IntFunction<ThresholdLayer>> layers = withAShortWay().toList();
    assertExact(layers.get(1), images(shape), Optional.empty());
    assertExact(layers.get(2), images(shape), Optional.of(images(shape)));
    assertExact(layers.get(5), images(shape), Optional.of(images(shape)));
  }

  @Test
  void aLargeMeanCostsNoMoreThanInLibTorch() {
    Tensor x = images(8, 16, 16, 16).add(new Scalar(1000));
    for (IntFunction<ThresholdLayer> layer : withAShortWay().toList()) {
      assertExact(layer, x, Optional.empty());
      assertExact(layer, x, Optional.of(images(8, 16, 16, 16)));
    }
  }

  @Test
  void channelsThatAreConstant() {
    Tensor x = images(8, 16, 16, 16);
    x.select(1, 3).fill_(new Scalar(0.1));
    x.select(1, 5).zero_();
    assertExact(c -> clip(), x, Optional.of(images(8, 16, 16, 16)));
    x.select(1, 7).fill_(new Scalar(-300));
    assertExact(c -> clip(), x, Optional.empty());
  }

  /** One of them spoils its channel, running statistics too, and no other. */
  @Test
  void whatIsNotFiniteStaysInItsChannel() {
    Tensor g = torch.randn(8, 16, 16, 16);
    for (float number : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      Tensor x = images(8, 16, 16, 16);
      x.select(1, 5).select(0, 2).select(0, 3).select(0, 4).fill_(new Scalar(number));
      assertSpoilsTheSame(x, g, number + " in x");
    }
    g.select(1, 5).select(0, 2).select(0, 3).select(0, 4).fill_(new Scalar(Float.NaN));
    assertSpoilsTheSame(images(8, 16, 16, 16), g, "NaN in g");
  }

  private static void assertSpoilsTheSame(Tensor x, Tensor g, String what) {
    BatchNormRun plain = new BatchNormRun(c -> clip(), ScalarType.Float, x, Optional.empty());
    BatchNormRun block = new BatchNormRun(c -> clip(), ScalarType.Float, x, Optional.empty());
    List<Tensor> expected = plain.results(plain.oneByOne(), g);
    List<Tensor> actual = block.results(block.block(), g);
    for (int i = 0; i < expected.size(); i++) {
      Tensor finite = expected.get(i).isfinite();
      assertTrue(finite.equal(actual.get(i).isfinite()), what + ": result " + i);
      Tensor zero = torch.zeros_like(expected.get(i));
      Tensor wanted = torch.where(finite, expected.get(i), zero);
      Tensor given = torch.where(finite, actual.get(i), zero);
      double largest = 1e-3 + wanted.abs().max().item_double();
      double wrong = wanted.sub(given).abs().max().item_double();
      assertTrue(wrong <= 1e-5 * largest, what + ": result " + i + ": " + wrong);
    }
  }

  @Test
  void goesTheShortWayWhereThereIsOne() {
    Tensor x = images(8, 16, 16, 16);
    withAShortWay().forEach(layer -> assertEquals(0, singly(layer, x)));
    withoutAShortWay().forEach(layer -> assertEquals(1, singly(layer, x)));
    assertEquals(1, singly(c -> clip(), x.contiguous()));
    assertEquals(1, singly(c -> clip(), x.to(ScalarType.Double)));
    assertEquals(1, singly(c -> clip(), images(2, 16, 4, 4)));
  }

  private static long singly(IntFunction<ThresholdLayer> layer, Tensor x) {
    BatchNormRun run = new BatchNormRun(layer, x.scalar_type().intern(), x, Optional.empty());
    return Gradients.nodes(run.block(), "NativeBatchNormBackward");
  }

  @Test
  void bitsDependOnNothingButTheInputs() {
    Tensor x = images(64, 24, 20, 20);
    Tensor addend = images(64, 24, 20, 20);
    Tensor g = torch.randn(64, 24, 20, 20);
    int threads = torch.get_num_threads();
    try {
      List<List<Tensor>> results = new ArrayList<>();
      for (int count : new int[] {1, 2, 2, 3}) {
        torch.set_num_threads(count);
        BatchNormRun run = new BatchNormRun(c -> clip(), ScalarType.Float, x, Optional.of(addend));
        results.add(run.results(run.block(), g));
      }
      for (List<Tensor> other : results.subList(1, results.size())) {
        for (int i = 0; i < other.size(); i++) {
          Bits.assertSame(results.get(0).get(i), other.get(i), "result " + i);
        }
      }
    } finally {
      torch.set_num_threads(threads);
    }
  }

  private static Tensor images(long... shape) {
    return torch.randn(shape).contiguous(MemoryFormat.ChannelsLast);
  }

  /** Over several steps, whose running statistics go on from each other. */
  private static void assertExact(
      IntFunction<ThresholdLayer> layer, Tensor x, Optional<Tensor> addend) {
    BatchNormRun exact = new BatchNormRun(layer, ScalarType.Double, x, addend);
    BatchNormRun plain = new BatchNormRun(layer, ScalarType.Float, x, addend);
    BatchNormRun block = new BatchNormRun(layer, ScalarType.Float, x, addend);
    for (int step = 0; step < STEPS; step++) {
      Tensor steady = exact.steady();
      Tensor g = torch.randn(x.shape()).add(exact.beforeLayer()).mul(steady);
      List<Tensor> expected = exact.results(exact.oneByOne(), g);
      List<Tensor> libTorch = plain.results(plain.oneByOne(), g);
      List<Tensor> actual = block.results(block.block(), g);
      assertEquals(expected.size(), actual.size());
      for (int i = 0; i < expected.size(); i++) {
        Tensor where = i == 0 ? steady : torch.ones_like(expected.get(i));
        double its = error(expected.get(i), libTorch.get(i), where);
        double ours = error(expected.get(i), actual.get(i), where);
        double largest = expected.get(i).abs().max().item_double();
        assertTrue(
            ours <= TIMES * its + ROUNDING * largest,
            "result "
                + i
                + " of step "
                + step
                + ": "
                + ours
                + ", LibTorch's "
                + its
                + ", the largest is "
                + largest
                + ", "
                + Arrays.toString(x.shape()));
      }
    }
  }

  private static double error(Tensor expected, Tensor actual, Tensor where) {
    return expected.sub(actual).mul(where).abs().max().item_double();
  }
}
