package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LowerBoundTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(47);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void isTheMaximum() {
    Tensor x = Tensor.create(-1.0, 0.5, 0.75, 1, Double.NaN, Double.NEGATIVE_INFINITY);
    assertArrayEquals(
        new double[] {0.75, 0.75, 0.75, 1, Double.NaN, 0.75},
        Fixture.values(new LowerBound(0.75).apply(x)));
  }

  @Test
  void atAndAboveTheBoundTheGradientIsTheMaximums() {
    GradientCheck.check(
        in -> new LowerBound(-3).apply(in), Gradients.leaf(Gradients.normal(3, 4).abs()));
    Tensor at = Gradients.leaf(Tensor.create(0.75));
    for (double g : new double[] {2, -2}) {
      new LowerBound(0.75).apply(at).mul(new Scalar(g)).backward();
      assertArrayEquals(new double[] {g}, Gradients.take(at));
    }
  }

  @Test
  void belowTheBoundOnlyWhatRaisesPasses() {
    Tensor x = Gradients.leaf(Tensor.create(0.5, 0.5, 0.5, 1, 1));
    Gradients.backward(new LowerBound(0.75).apply(x), Tensor.create(3.0, -4, 0, 5, -6));
    assertArrayEquals(new double[] {0, -4, 0, 5, -6}, Gradients.take(x));
  }

  /** With a plain maximum it would stay where it is for ever. */
  @Test
  void gradientDescentComesBack() {
    double value = 0.1;
    for (int step = 0; step < 100; step++) {
      Tensor x = Gradients.leaf(Tensor.create(value));
      new LowerBound(0.5).apply(x).sub(new Scalar(2)).square().backward();
      value -= 0.1 * Gradients.take(x)[0];
    }
    assertEquals(2, value, 1e-6);
  }

  @ParameterizedTest
  @EnumSource(
      value = ScalarType.class,
      names = {"Double", "Float", "BFloat16", "Half"})
  void keepsShapeAndDtype(ScalarType type) {
    for (long size : new long[] {0, 1, 3, 13, 207}) {
      Tensor x = Gradients.leaf(torch.randn(size, 2).to(type));
      Tensor y = new LowerBound(0.25).apply(x);
      y.sum().backward();
      assertEquals(type, y.scalar_type().intern());
      assertArrayEquals(x.shape(), y.shape());
      assertEquals(type, x.grad().scalar_type().intern());
      assertArrayEquals(x.shape(), x.grad().shape());
    }
  }
}
