package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Form;
import io.github.actclip.testing.Gradients;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The forms of the clip against Python's PyTorch, and their gradients against differences. */
class ClipFormsTest {

  static {
    LibTorch.load();
  }

  private static final Fixture FIXTURE = Fixture.load("clip");

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(29);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<Arguments> fixtureCases() {
    return IntStream.range(0, FIXTURE.at("clips").size())
        .mapToObj(i -> Arguments.of(form("clips/" + i), "clips/" + i));
  }

  private static Form form(String path) {
    return Form.valueOf(FIXTURE.at(path + "/form").asText().toUpperCase(Locale.ROOT));
  }

  @ParameterizedTest
  @MethodSource("fixtureCases")
  void composedEqualsPythonsPyTorch(Form form, String path) {
    assertEqualsFixture(path, form::composed);
  }

  @ParameterizedTest
  @MethodSource("fixtureCases")
  void ourFunctionsEqualPythonsPyTorch(Form form, String path) {
    assertEqualsFixture(path, form::custom);
  }

  private static void assertEqualsFixture(String path, Function<Tensor[], Tensor> form) {
    Tensor[] inputs = new Tensor[1 + FIXTURE.at(path + "/parameters").size()];
    inputs[0] = Gradients.leaf(FIXTURE.tensor("x"));
    for (int i = 1; i < inputs.length; i++) {
      inputs[i] = Gradients.leaf(FIXTURE.tensor(path + "/parameters/" + (i - 1)));
    }
    Tensor y = form.apply(inputs);
    Gradients.backward(y, FIXTURE.tensor("g"));
    assertArrayEquals(FIXTURE.doubles(path + "/y/values"), Fixture.values(y), 1e-14);
    assertArrayEquals(FIXTURE.doubles(path + "/dx/values"), Gradients.take(inputs[0]), 1e-14);
    for (int i = 1; i < inputs.length; i++) {
      double[] expected = FIXTURE.doubles(path + "/gradients/" + (i - 1) + "/values");
      assertArrayEquals(expected, Gradients.take(inputs[i]), 1e-13, "threshold " + i);
    }
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void gradientsEqualDifferencesPerTensor(Form form) {
    assertEqualsDifferences(form, 1);
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void gradientsEqualDifferencesPerChannel(Form form) {
    assertEqualsDifferences(form, 3, 1, 1);
  }

  @ParameterizedTest
  @EnumSource(Form.class)
  void theGradientOfNaNGoesToTheActivationsAlone(Form form) {
    Tensor numbers = Gradients.normal(2, 3, 4, 2);
    Tensor g = Gradients.normal(2, 3, 4, 2);
    Tensor isNaN = torch.rand(2, 3, 4, 2).lt(new Scalar(0.3));
    Tensor none = torch.where(isNaN, new Scalar(0), g); // what is NaN counts as if it had no g
    for (Function<Tensor[], Tensor> function :
        List.<Function<Tensor[], Tensor>>of(form::composed, form::custom)) {
      double[][] expected = gradients(form, function, numbers, none);
      double[][] actual =
          gradients(form, function, numbers.masked_fill(isNaN, new Scalar(Double.NaN)), g);
      for (int i = 1; i < expected.length; i++) {
        assertArrayEquals(expected[i], actual[i], 1e-13, "threshold " + i);
      }
      double[] byX = Fixture.values(torch.where(isNaN, g, Tensor.create(expected[0], g.shape())));
      assertArrayEquals(byX, actual[0]);
    }
  }

  private static double[][] gradients(
      Form form, Function<Tensor[], Tensor> function, Tensor x, Tensor g) {
    torch.manual_seed(3);
    Tensor[] inputs = new Tensor[1 + form.thresholds()];
    inputs[0] = Gradients.leaf(x);
    for (int i = 1; i < inputs.length; i++) {
      inputs[i] = Gradients.leaf(Gradients.normal(3, 1, 1));
    }
    Gradients.backward(function.apply(inputs), g);
    return Stream.of(inputs).map(Gradients::take).toArray(double[][]::new);
  }

  private static void assertEqualsDifferences(Form form, long... thresholdShape) {
    Tensor[] inputs = new Tensor[1 + form.thresholds()];
    inputs[0] = Gradients.leaf(Gradients.normal(2, 3, 3, 2));
    for (int i = 1; i < inputs.length; i++) {
      inputs[i] = Gradients.leaf(Gradients.normal(thresholdShape));
    }
    GradientCheck.check(form::composed, inputs);
    GradientCheck.check(form::custom, inputs);
  }

  @Test
  void theNativeBackendTakesACustomFunctionFrom20000ElementsOn() {
    assumeTrue(ClipOp.backend().startsWith("native"), ClipOp.backend());
    Tensor t = Gradients.leaf(Tensor.create(0.5f));
    int before = BackwardNode.alive();
    Tensor few = ClipFunctions.relu(torch.randn(19_999), t, ThresholdGradient.SUM);
    assertEquals(before, BackwardNode.alive());
    Tensor many = ClipFunctions.relu(torch.randn(20_000), t, ThresholdGradient.SUM);
    assertEquals(before + 1, BackwardNode.alive());
    assertTrue(few.requires_grad() && many.requires_grad());
  }

  /** Networks that are converted to spiking ones clip in this way. */
  @Test
  void theTrainableClippingLayerIsTheSameClip() {
    Tensor x = Gradients.leaf(Gradients.normal(2, 3, 40)); // no ties
    Tensor t = Gradients.leaf(torch.rand(3, 1).to(torch.ScalarType.Double));
    Tensor g = Gradients.normal(2, 3, 40);
    Tensor layer = t.sub(torch.relu(t.sub(torch.relu(x))));
    Gradients.backward(layer, g);
    double[] byX = Gradients.take(x);
    double[] byT = Gradients.take(t);
    Tensor y = ClipOp.relu(x, t);
    Gradients.backward(y, g);
    assertArrayEquals(Fixture.values(layer), Fixture.values(y), 1e-15);
    assertArrayEquals(byX, Gradients.take(x), 0);
    assertArrayEquals(byT, Gradients.take(t), 1e-13);
  }

  @Test
  void theSoftClipTendsToTheClip() {
    Tensor x = Gradients.normal(200);
    Tensor t = Tensor.create(0.5);
    double[] clip = Fixture.values(ClipOp.clip(x, t));
    for (double beta : new double[] {1, 10, 100, 1e4}) {
      double[] soft = Fixture.values(ClipOp.soft(x, t, beta));
      assertArrayEquals(clip, soft, Math.log(2) / beta + 1e-15);
    }
    assertArrayEquals(
        new double[] {0.5 - Math.log(2) / 10}, Fixture.values(ClipOp.soft(t, t, 10)), 1e-15);
  }

  /** LibTorch's softplus becomes a straight line at 20, and would lose the gradient there. */
  @Test
  void theSoftClipHasAGradientFarAboveTheThreshold() {
    Tensor x = Gradients.leaf(Tensor.create(31.0));
    ClipOp.soft(x, Tensor.create(1.0), 1).backward();
    assertArrayEquals(new double[] {1 / (1 + Math.exp(30))}, Gradients.take(x), 1e-16);
    Tensor t = Gradients.leaf(Tensor.create(31.0));
    ClipOp.soft(Tensor.create(1.0), t, 1).backward();
    assertArrayEquals(new double[] {1 / (1 + Math.exp(30))}, Gradients.take(t), 1e-16);
  }

  @Test
  void theGeneralizedReluIsReluWhereItsThresholdFollowsItsBias() {
    Tensor x = Gradients.leaf(Gradients.normal(4, 3, 5));
    Tensor b = Gradients.leaf(Gradients.normal(3, 1));
    Tensor g = Gradients.normal(4, 3, 5);
    Tensor relu = torch.relu(x.add(b));
    Gradients.backward(relu, g);
    double[] byX = Gradients.take(x);
    double[] byB = Gradients.take(b);
    Tensor y = ClipFunctions.generalizedRelu(x, b, b.neg(), ThresholdGradient.FROZEN);
    Gradients.backward(y, g);
    assertArrayEquals(Fixture.values(relu), Fixture.values(y));
    assertArrayEquals(byX, Gradients.take(x));
    assertArrayEquals(byB, Gradients.take(b), 1e-13);
  }

  @Test
  void thresholdsOfOneClipMayHaveShapesOfTheirOwn() {
    Tensor x = Gradients.normal(2, 3, 4);
    Tensor one = Gradients.leaf(Tensor.create(0.25).mul(new Scalar(-1)));
    Tensor many = Gradients.leaf(Tensor.create(new double[] {0.5, 1, 1.5}, 3, 1));
    for (Form form : new Form[] {Form.TWO_SIDED, Form.UNTIED, Form.GENERALIZED_RELU}) {
      GradientCheck.check(form::custom, x, one, many);
      GradientCheck.check(form::custom, x, many, one);
    }
  }
}
