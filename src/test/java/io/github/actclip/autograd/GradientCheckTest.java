package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Gradients;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
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

class GradientCheckTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(5);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** x², whose gradient is off by a factor. */
  private static final class Square extends CustomFunction {
    private final double factor;

    Square(double factor) {
      this.factor = factor;
    }

    @Override
    protected Tensor forward(FunctionContext context, Tensor... inputs) {
      context.saveForBackward(inputs);
      return inputs[0].mul(inputs[0]);
    }

    @Override
    protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
      return new Tensor[] {context.saved(0).mul(gradOutput).mul(new Scalar(2 * factor))};
    }
  }

  @Test
  void passesARightGradient() {
    GradientCheck.check(in -> new Square(1).apply(in), doubles(2, 3));
    GradientCheck.check(in -> torch.matmul(in[0], in[1]).sigmoid(), doubles(2, 3), doubles(3, 2));
  }

  @Test
  void passesTheClipByItsActivationsAndItsThreshold() {
    GradientCheck.check(in -> ClipOp.clip(in[0], in[1]), doubles(40), doubles(1));
  }

  @Test
  void namesTheElementOfAWrongGradient() {
    Tensor x = torch.zeros(2, 3).to(ScalarType.Double);
    x.select(0, 1).select(0, 2).fill_(new Scalar(0.5));
    x.requires_grad_(true);
    ActclipException e =
        assertThrows(
            ActclipException.class, () -> GradientCheck.check(in -> new Square(1.01).apply(in), x));
    assertTrue(e.getMessage().startsWith("input 0 at [1, 2]: autograd gives 0.28"), e.getMessage());
    assertTrue(e.getMessage().contains("differences give 0.28"), e.getMessage());
  }

  @Test
  void seesAGradientThatIsMissing() {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> GradientCheck.check(in -> in[0].detach().mul(in[1]), doubles(2), doubles(2)));
    assertTrue(e.getMessage().startsWith("input 0 at [0]: autograd gives 0.0"), e.getMessage());
  }

  @Test
  void makesTheStepSmallerThanTheDistanceToAKink() {
    Tensor x = torch.ones(1).to(ScalarType.Double).mul(new Scalar(3e-8)).requires_grad_(true);
    GradientCheck.check(in -> torch.relu(in[0]), x);
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8})
  void besideAKinkThereIsAGradient(double distance) {
    for (double x : new double[] {-distance, distance}) {
      Tensor at = Gradients.leaf(torch.ones(1).to(ScalarType.Double).mul(new Scalar(1.7 * x)));
      GradientCheck.check(in -> torch.relu(in[0]), at);
      GradientCheck.check(in -> torch.relu(in[0]).add(new Scalar(1)), at);
    }
  }

  @Test
  void saysThatAPointIsOnAKink() {
    Tensor x = torch.zeros(1).to(ScalarType.Double).requires_grad_(true);
    ActclipException e =
        assertThrows(ActclipException.class, () -> GradientCheck.check(in -> torch.relu(in[0]), x));
    assertEquals(
        "input 0 at [0] is on a kink, where there is no gradient: move it", e.getMessage());
  }

  /** x times a factor whose gradient is the factor times another one. */
  private record Scaled(double factor, double wrong) {
    Tensor of(Tensor y) {
      return new CustomFunction() {
        @Override
        protected Tensor forward(FunctionContext context, Tensor... inputs) {
          return inputs[0].mul(new Scalar(factor));
        }

        @Override
        protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
          return new Tensor[] {gradOutput.mul(new Scalar(factor * wrong))};
        }
      }.apply(y);
    }
  }

  private static final double[] MAGNITUDES = {1e-6, 3.3e-3, 1, 333_333.3, 1e6, 1e9};

  private static Stream<Arguments> smoothFunctions() {
    Map<String, UnaryOperator<Tensor>> functions = new LinkedHashMap<>();
    functions.put("x", x -> x.mul(new Scalar(1)));
    functions.put("2x", x -> x.mul(new Scalar(2)));
    functions.put("1e-8 x", x -> x.mul(new Scalar(1e-8)));
    functions.put("x + 1e9", x -> x.add(new Scalar(1e9)));
    functions.put("x^2", Tensor::square);
    functions.put("x^3", x -> x.mul(x).mul(x));
    functions.put("1/x", Tensor::reciprocal);
    functions.put("sqrt", Tensor::sqrt);
    functions.put("log", Tensor::log);
    functions.put("sin", Tensor::sin);
    functions.put("atan", Tensor::atan);
    functions.put("relu", Tensor::relu);
    return functions.entrySet().stream()
        .flatMap(
            f ->
                Arrays.stream(MAGNITUDES).mapToObj(m -> Arguments.of(f.getKey(), m, f.getValue())));
  }

  /** A gradient that is right, off by 1 %, of the wrong sign, and missing. */
  @ParameterizedTest(name = "{0} at {1}")
  @MethodSource("smoothFunctions")
  void tellsRightFromWrongAtAnyMagnitude(
      String name, double magnitude, UnaryOperator<Tensor> function) {
    Tensor x =
        Gradients.leaf(
            torch.tensor(magnitude).mul(torch.rand(5).to(ScalarType.Double).add(new Scalar(0.7))));
    GradientCheck.check(in -> function.apply(in[0]), x);
    GradientCheck.check(in -> new Scaled(3, 1).of(function.apply(in[0])), x);
    for (double wrong : new double[] {1.01, -1, 0}) {
      ActclipException e =
          assertThrows(
              ActclipException.class,
              () -> GradientCheck.check(in -> new Scaled(3, wrong).of(function.apply(in[0])), x),
              "times " + wrong);
      assertTrue(e.getMessage().contains("autograd gives"), e.getMessage());
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1e9, -333_333.3, -1, -3.3e-3, 0, 1e-6, 1, 1e6, 1e9})
  void findsKinksAtAnyMagnitude(double at) {
    Tensor x = Gradients.leaf(torch.tensor(at).to(ScalarType.Double).reshape(1));
    List<UnaryOperator<Tensor>> functions =
        List.of(
            y -> y.sub(new Scalar(at)).relu(),
            y -> y.sub(new Scalar(at)).abs(),
            y -> ClipOp.clip(y, Tensor.create(at)),
            y -> y.sub(new Scalar(at)).abs().mul(new Scalar(1e-9)),
            y -> y.sub(new Scalar(at)).abs().mul(new Scalar(0.01)).add(y));
    for (int i = 0; i < functions.size(); i++) {
      UnaryOperator<Tensor> function = functions.get(i);
      ActclipException e =
          assertThrows(
              ActclipException.class,
              () -> GradientCheck.check(in -> function.apply(in[0]), x),
              "function " + i);
      assertEquals(
          "input 0 at [0] is on a kink, where there is no gradient: move it", e.getMessage());
    }
  }

  /** What does not change with an element adds no rounding, however large it is. */
  @Test
  void manyValuesOfVeryDifferentSizePass() {
    Tensor x = Gradients.leaf(torch.randn(6400).mul(new Scalar(3)).to(ScalarType.Double));
    GradientCheck.check(in -> in[0].exp(), x);
    Tensor few = Gradients.leaf(torch.randn(300).mul(new Scalar(3)).to(ScalarType.Double));
    GradientCheck.check(in -> in[0].exp().sum(), few);
    GradientCheck.check(in -> in[0].softmax(0), few);
    GradientCheck.check(in -> in[0].mul(new Scalar(30)).sigmoid(), few);
  }

  /** Right gradients of functions whose values are rounded on the way, or hide what changes. */
  @Test
  void rightGradientsPassWhereRoundingIsHidden() {
    Tensor near = Gradients.leaf(torch.randn(20).to(ScalarType.Double));
    GradientCheck.check(in -> in[0].mul(new Scalar(30)).softmax(0), near);
    GradientCheck.check(in -> in[0].mul(new Scalar(1000)).sin(), near);
    Tensor far = Gradients.leaf(torch.randn(20).to(ScalarType.Double).mul(new Scalar(1000)));
    GradientCheck.check(in -> in[0].softmax(0), far);
    GradientCheck.check(in -> in[0].mul(new Scalar(30)).sin(), far);
    GradientCheck.check(in -> in[0].mul(new Scalar(1000)).sin(), far);
  }

  /** At the usual step, the function does not change. */
  @Test
  void aWrongGradientIsSeenBesideALargeConstant() {
    Tensor x = Gradients.leaf(torch.randn(5).to(ScalarType.Double));
    for (double wrong : new double[] {2, -1, 0}) {
      assertThrows(
          ActclipException.class,
          () -> GradientCheck.check(in -> new Scaled(1, wrong).of(in[0].add(new Scalar(1e12))), x),
          "times " + wrong);
      assertThrows(
          ActclipException.class,
          () -> GradientCheck.check(in -> new Scaled(1e-12, wrong).of(in[0]).add(new Scalar(1)), x),
          "1e-12 times " + wrong);
    }
  }

  @Test
  void whereTheFunctionIsLevelTheGradientIsZero() {
    Tensor x = Gradients.leaf(torch.zeros(1).to(ScalarType.Double));
    GradientCheck.check(in -> in[0].cos(), x);
    GradientCheck.check(in -> in[0].square(), x);
    GradientCheck.check(in -> in[0].square().mul(new Scalar(1e6)).add(new Scalar(1)), x);
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> GradientCheck.check(in -> new Scaled(1, 2).of(in[0].add(in[0].square())), x));
    assertTrue(e.getMessage().contains("autograd gives 2.0"), e.getMessage());
  }

  @Test
  void seesAGradientThatIsTransposed() {
    CustomFunction transposed =
        new CustomFunction() {
          @Override
          protected Tensor forward(FunctionContext context, Tensor... inputs) {
            return inputs[0].mul(new Scalar(1e5));
          }

          @Override
          protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
            return new Tensor[] {gradOutput.t().mul(new Scalar(1e5))};
          }
        };
    assertThrows(
        ActclipException.class,
        () -> GradientCheck.check(in -> transposed.apply(in), doubles(3, 3)));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void aPointThatIsNotFiniteHasNoDifferences(double value) {
    Tensor x = Gradients.leaf(torch.tensor(value).to(ScalarType.Double).reshape(1));
    ActclipException e =
        assertThrows(ActclipException.class, () -> GradientCheck.check(in -> in[0].sigmoid(), x));
    assertEquals("input 0 at [0] is " + value + ", which has no differences", e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.MAX_VALUE})
  void reportsAGradientThatIsNoUsefulNumber(double factor) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> GradientCheck.check(in -> new Square(factor).apply(in), doubles(2)));
    assertTrue(
        e.getMessage().matches("input 0 at \\[0\\]: autograd gives (NaN|-?Infinity).*"),
        e.getMessage());
  }

  @Test
  void reportsAFunctionThatIsNotFinite() {
    Tensor x = torch.zeros(1).to(ScalarType.Double).requires_grad_(true);
    ActclipException e =
        assertThrows(ActclipException.class, () -> GradientCheck.check(in -> in[0].log(), x));
    assertEquals("the function gives NaN or infinity, which has no differences", e.getMessage());
    ActclipException besideIt =
        assertThrows(ActclipException.class, () -> GradientCheck.check(in -> in[0].sqrt(), x));
    assertTrue(besideIt.getMessage().startsWith("input 0 at [0]"), besideIt.getMessage());
  }

  @Test
  void nothingToCheckPasses() {
    GradientCheck.check(in -> in[0].mul(in[1]), doubles(0, 3), doubles(3));
  }

  @Test
  void whatBackwardThrowsArrives() {
    CustomFunction failing =
        new CustomFunction() {
          @Override
          protected Tensor forward(FunctionContext context, Tensor... inputs) {
            return inputs[0].exp();
          }

          @Override
          protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
            throw new UnsupportedOperationException("no backward");
          }
        };
    assertThrows(
        UnsupportedOperationException.class,
        () -> GradientCheck.check(in -> failing.apply(in), doubles(2)));
  }

  @Test
  void needsFloat64() {
    Tensor x = torch.zeros(1).requires_grad_(true);
    ActclipException e =
        assertThrows(ActclipException.class, () -> GradientCheck.check(in -> in[0], x));
    assertEquals("input 0 is Float: differences need float64", e.getMessage());
  }

  private static Tensor doubles(long... shape) {
    return torch.randn(shape).to(ScalarType.Double).requires_grad_(true);
  }
}
