package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Form;
import io.github.actclip.testing.Gradients;
import java.util.Arrays;
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
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Values, shapes, strides and dtypes that are easy to get wrong. */
class ClipValuesTest {

  static {
    LibTorch.load();
  }

  private static final double NAN = Double.NaN;
  private static final double INF = Double.POSITIVE_INFINITY;

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(43);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<Arguments> formsAndDtypes() {
    return Stream.of(Form.values())
        .flatMap(
            form ->
                Stream.of(ScalarType.Double, ScalarType.Float, ScalarType.BFloat16, ScalarType.Half)
                    .map(type -> Arguments.of(form, type)));
  }

  @Test
  void nanInfinityZerosAndTies() {
    double[] x = {NAN, INF, -INF, 0, -0.0, 0.5, 0.75};
    assertClips(x, 0.5, new double[] {NAN, 0.5, -INF, 0, -0.0, 0.5, 0.5}, 1, 0, 1, 1, 1, 1, 0);
    assertClips(x, 0, new double[] {NAN, 0, -INF, 0, -0.0, 0, 0}, 1, 0, 1, 1, 1, 0, 0);
    assertClips(x, -1, new double[] {NAN, -1, -INF, -1, -1, -1, -1}, 1, 0, 1, 0, 0, 0, 0);
    assertClips(x, INF, x, 1, 1, 1, 1, 1, 1, 1);
    assertClips(
        x, -INF, new double[] {NAN, -INF, -INF, -INF, -INF, -INF, -INF}, 1, 0, 1, 0, 0, 0, 0);
  }

  /** Nothing is above NaN: as in PyTorch's where, it clips nothing. */
  @Test
  void aThresholdThatIsNanClipsNothing() {
    double[] x = {NAN, INF, -INF, 0, 2};
    assertClips(x, NAN, x, 1, 1, 1, 1, 1);
  }

  /** g is 1 everywhere, so the threshold gets what the activations do not. */
  private static void assertClips(double[] x, double t, double[] y, double... dx) {
    for (Form.Way way : Form.Way.values()) {
      Tensor activations = Gradients.leaf(Tensor.create(x));
      Tensor threshold = Gradients.leaf(Tensor.create(t));
      Tensor clipped = Form.TIED.apply(way, activations, threshold);
      clipped.sum().backward();
      assertArrayEquals(y, Fixture.values(clipped));
      assertArrayEquals(dx, Gradients.take(activations));
      assertArrayEquals(
          new double[] {x.length - Arrays.stream(dx).sum()}, Gradients.take(threshold));
    }
  }

  @Test
  void aRectifiedClipBelowZeroIsTheThreshold() {
    Tensor x = Tensor.create(NAN, INF, -INF, 0, -3, 3);
    Tensor t = Tensor.create(-0.5);
    assertArrayEquals(
        new double[] {NAN, -0.5, -0.5, -0.5, -0.5, -0.5}, Fixture.values(ClipOp.relu(x, t)));
    assertArrayEquals(
        new double[] {NAN, 0, 0, 0, 0, 0}, Fixture.values(ClipOp.relu(x, Tensor.create(0.0))));
  }

  @Test
  void theUpperOfCrossedThresholdsWinsAsInTorchsClamp() {
    Tensor x = Gradients.leaf(Tensor.create(NAN, INF, -INF, -3, -1, 0, 1, 3));
    Tensor lo = Gradients.leaf(Tensor.create(1.0));
    Tensor hi = Gradients.leaf(Tensor.create(-1.0));
    for (Form.Way way : Form.Way.values()) {
      Tensor y = Form.TWO_SIDED.apply(way, x, lo, hi);
      y.sum().backward();
      assertArrayEquals(new double[] {NAN, -1, -1, -1, -1, -1, -1, -1}, Fixture.values(y));
      assertArrayEquals(new double[] {1, 0, 0, 0, 0, 0, 0, 0}, Gradients.take(x));
      assertArrayEquals(new double[] {0}, Gradients.take(lo));
      assertArrayEquals(new double[] {7}, Gradients.take(hi));
    }
  }

  @Test
  void nanStaysNanInEveryForm() {
    for (Form form : Form.values()) {
      Tensor x = Gradients.leaf(Tensor.create(NAN));
      Tensor y = form.composed(inputs(x, form));
      assertTrue(Double.isNaN(y.item_double()), form + "");
      if (form != Form.SOFT && form != Form.RELU) {
        y.backward();
        assertArrayEquals(new double[] {1}, Gradients.take(x), form + "");
      }
    }
  }

  private static Tensor[] inputs(Tensor x, Form form) {
    Tensor[] inputs = new Tensor[1 + form.thresholds()];
    inputs[0] = x;
    for (int i = 1; i < inputs.length; i++) {
      inputs[i] = Gradients.leaf(Tensor.create(0.25f * i));
    }
    return inputs;
  }

  @ParameterizedTest
  @MethodSource("formsAndDtypes")
  void anySizeKeepsItsShapeAndDtype(Form form, ScalarType type) {
    for (long size : new long[] {0, 1, 3, 13, 207}) {
      assertKeepsShapeAndDtype(form, torch.randn(size).to(type));
      assertKeepsShapeAndDtype(form, torch.randn(2, size, 3).to(type));
    }
    assertKeepsShapeAndDtype(form, torch.randn(1).to(type).squeeze()); // of no dimension
  }

  private static void assertKeepsShapeAndDtype(Form form, Tensor values) {
    for (Form.Way way : Form.Way.values()) {
      Tensor[] inputs = inputs(Gradients.leaf(values), form);
      Tensor y = form.apply(way, inputs);
      assertArrayEquals(values.shape(), y.shape());
      assertEquals(values.scalar_type().intern(), y.scalar_type().intern());
      y.sum().backward();
      assertArrayEquals(values.shape(), inputs[0].grad().shape());
      assertEquals(values.scalar_type().intern(), inputs[0].grad().scalar_type().intern());
      Tensor byLast = inputs[form.thresholds()].grad();
      if (byLast.defined()) {
        assertArrayEquals(new long[] {1}, byLast.shape());
        assertEquals(ScalarType.Float, byLast.scalar_type().intern());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void stridesDoNotMatter(Form form) {
    Tensor base = torch.randn(4, 3, 5, 6);
    for (Form.Way way : Form.Way.values()) {
      assertEqualsContiguous(form, way, base.transpose(0, 3));
      assertEqualsContiguous(form, way, base.narrow(3, 1, 3).narrow(2, 0, 2));
      assertEqualsContiguous(form, way, base.select(1, 2));
      assertEqualsContiguous(form, way, base.contiguous(MemoryFormat.ChannelsLast));
      assertEqualsContiguous(form, way, base.narrow(0, 0, 1).expand(4, 3, 5, 6));
    }
  }

  private static void assertEqualsContiguous(Form form, Form.Way way, Tensor strided) {
    Tensor g = torch.randn(strided.shape());
    Tensor[] inputs = inputs(strided.detach().requires_grad_(true), form);
    Tensor y = form.apply(way, inputs);
    Gradients.backward(y, g);
    Tensor[] expected = inputs(Gradients.leaf(strided.contiguous()), form);
    Tensor expectedY = form.apply(way, expected);
    Gradients.backward(expectedY, g);
    assertArrayEquals(Fixture.values(expectedY), Fixture.values(y), 1e-6);
    for (int i = 0; i < inputs.length; i++) {
      assertArrayEquals(Gradients.take(expected[i]), Gradients.take(inputs[i]), 1e-4);
    }
  }

  /** But not in the soft clip: LibTorch's log_sigmoid writes its output in the usual order. */
  @ParameterizedTest
  @EnumSource(
      value = Form.class,
      names = {"SOFT"},
      mode = EnumSource.Mode.EXCLUDE)
  void channelsLastStaysChannelsLast(Form form) {
    Tensor x = torch.randn(2, 3, 4, 5).contiguous(MemoryFormat.ChannelsLast);
    for (Form.Way way : Form.Way.values()) {
      Tensor y = form.apply(way, inputs(Gradients.leaf(x), form));
      assertTrue(y.is_contiguous(MemoryFormat.ChannelsLast), way + "");
    }
  }

  @ParameterizedTest
  @MethodSource("formsAndDtypes")
  void valuesAreThoseOfRoundedThresholds(Form form, ScalarType type) {
    Tensor x = torch.randn(500).to(type);
    Tensor[] inputs = inputs(x, form);
    Tensor[] rounded = inputs.clone();
    for (int i = 1; i < inputs.length; i++) {
      inputs[i] = inputs[i].detach().add(new Scalar(1e-3 / 3));
      rounded[i] = inputs[i].to(type);
    }
    assertArrayEquals(
        Fixture.values(form.composed(rounded)),
        Fixture.values(form.composed(inputs)),
        form == Form.SOFT ? 4e-3 : 0); // the soft clip computes in float32, without rounding them
  }

  /** In bfloat16 itself, a sum of ones ends at 256. */
  @ParameterizedTest
  @EnumSource(
      value = ScalarType.class,
      names = {"BFloat16", "Half"})
  void aFloat32ThresholdGetsItsGradientInFloat32(ScalarType type) {
    Tensor x = torch.randn(200_000).to(type);
    Tensor g = torch.randn(200_000).add(new Scalar(1)).to(type);
    for (ThresholdGradient rule :
        new ThresholdGradient[] {ThresholdGradient.SUM, ThresholdGradient.lsq(1)}) {
      Tensor t = Gradients.leaf(Tensor.create(0.5f));
      Tensor y = ClipFunctions.clip(x, t, rule);
      Gradients.backward(y, g);
      double sum = exactSum(x, g);
      double expected = rule == ThresholdGradient.SUM ? sum : sum / Math.sqrt(200_000);
      assertEquals(ScalarType.Float, t.grad().scalar_type().intern());
      assertEquals(expected, t.grad().item_double(), 2 * Math.ulp((float) expected));
    }
  }

  private static double exactSum(Tensor x, Tensor g) {
    double[] xs = Fixture.values(x);
    double[] gs = Fixture.values(g);
    double sum = 0;
    for (int i = 0; i < xs.length; i++) {
      sum += xs[i] > 0.5 ? gs[i] : 0;
    }
    return sum;
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void thresholdsOfOneElementMayHaveMoreDimensionsThanTheActivations(Form form) {
    for (Form.Way way : Form.Way.values()) {
      Tensor[] inputs = inputs(Gradients.leaf(Tensor.create(0.125f, 2f)), form);
      for (int i = 1; i < inputs.length; i++) {
        inputs[i] = Gradients.leaf(inputs[i].view(1, 1, 1));
      }
      Tensor y = form.apply(way, inputs);
      assertArrayEquals(new long[] {2}, y.shape());
      y.sum().backward();
      assertArrayEquals(new long[] {2}, inputs[0].grad().shape());
      Tensor last = inputs[form.thresholds()];
      if (last.grad().defined()) {
        assertArrayEquals(last.shape(), last.grad().shape());
      }
    }
  }

  @Test
  void thresholdsMayDifferAlongAnyDimensions() {
    Tensor x = torch.randn(2, 3, 4);
    for (long[] shape : new long[][] {{4}, {3, 4}, {2, 1, 4}, {1, 3, 1}, {2, 3, 4}}) {
      Tensor t = torch.randn(shape);
      assertArrayEquals(Fixture.values(torch.minimum(x, t)), Fixture.values(ClipOp.clip(x, t)));
    }
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void nothingIsWrittenToTheInputs(Form form) {
    Tensor x = torch.randn(50);
    double[] before = Fixture.values(x);
    form.composed(inputs(x, form));
    form.custom(inputs(x, form)).sum().backward();
    assertArrayEquals(before, Fixture.values(x));
  }
}
