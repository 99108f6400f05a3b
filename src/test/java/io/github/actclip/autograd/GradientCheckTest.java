package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
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

  @Test
  void saysThatAPointIsOnAKink() {
    Tensor x = torch.zeros(1).to(ScalarType.Double).requires_grad_(true);
    ActclipException e =
        assertThrows(ActclipException.class, () -> GradientCheck.check(in -> torch.relu(in[0]), x));
    assertEquals(
        "input 0 at [0] is on a kink, where there is no gradient: move it", e.getMessage());
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
