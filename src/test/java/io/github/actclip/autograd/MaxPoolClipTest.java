package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Pooling, ReLU and clip as one function, against LibTorch's three. */
class MaxPoolClipTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(41);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void hasTheGradientOfDifferences() {
    Tensor t = Gradients.leaf(Tensor.create(0.5, 0.75, 100).view(3, 1, 1));
    Tensor x = Gradients.leaf(Gradients.normal(2, 3, 5, 4));
    GradientCheck.check(new MaxPoolClipFunction()::apply, x, t);
    GradientCheck.check(in -> ClipFunctions.maxPoolClip(in[0], in[1]), x, t);
  }

  /** Of more elements than the kernels need to pay, and of fewer. */
  @ParameterizedTest
  @ValueSource(strings = {"Float", "Double"})
  void isTheThreeFunctions(String dtype) {
    for (long batch : new long[] {1, 80}) {
      Tensor x = torch.randn(batch, 3, 11, 10).to(ScalarType.valueOf(dtype));
      assertIsTheThreeFunctions(x);
      assertIsTheThreeFunctions(x.contiguous(MemoryFormat.ChannelsLast));
    }
  }

  private static void assertIsTheThreeFunctions(Tensor values) {
    Tensor g = torch.randn(values.size(0), 3, 5, 5);
    Tensor x = Gradients.leaf(values);
    Tensor t = Gradients.leaf(Tensor.create(0.5f));
    Tensor expected = torch.minimum(torch.max_pool2d(x, 2, 2).relu(), t.to(x.scalar_type()));
    Gradients.backward(expected, g);
    Tensor byX = x.grad().clone();
    Gradients.take(x);
    double byT = Gradients.take(t)[0];
    for (Tensor y :
        new Tensor[] {ClipFunctions.maxPoolClip(x, t), new MaxPoolClipFunction().apply(x, t)}) {
      Gradients.backward(y, g);
      Bits.assertSame(expected, y, "output");
      Bits.assertSame(byX, x.grad(), "by x");
      Gradients.take(x);
      assertEquals(byT, Gradients.take(t)[0], 1e-5 * Fixture.values(g).length);
      boolean last = values.is_contiguous(MemoryFormat.ChannelsLast);
      assertTrue(y.is_contiguous(last ? MemoryFormat.ChannelsLast : MemoryFormat.Contiguous));
    }
  }

  /** Of more elements than the kernels need to pay, and of fewer; with ties, zeros and the rest. */
  @ParameterizedTest
  @ValueSource(longs = {1, 80})
  void withoutAThresholdItIsPoolingAndRelu(long batch) {
    for (ScalarType dtype : List.of(ScalarType.Float, ScalarType.Double, ScalarType.BFloat16)) {
      Tensor values = torch.randint(-3, 4, new long[] {batch, 3, 11, 10}).to(dtype);
      values.view(-1).narrow(0, 0, 40).mul_(new Scalar(-0.0));
      values.view(-1).narrow(0, 40, 20).fill_(new Scalar(Double.POSITIVE_INFINITY));
      values.view(-1).narrow(0, 60, 20).fill_(new Scalar(Double.NEGATIVE_INFINITY));
      values.view(-1).narrow(0, 80, 20).fill_(new Scalar(Double.NaN));
      assertIsPoolingAndRelu(values);
      assertIsPoolingAndRelu(values.contiguous(MemoryFormat.ChannelsLast));
    }
  }

  private static void assertIsPoolingAndRelu(Tensor values) {
    Tensor g = torch.randn(values.size(0), 3, 5, 5).to(values.scalar_type());
    Tensor x = Gradients.leaf(values);
    Tensor expected = torch.max_pool2d(x, 2, 2).relu();
    Gradients.backward(expected, g);
    Tensor byX = x.grad().clone();
    Gradients.take(x);
    Tensor y = ClipFunctions.maxPoolRelu(x);
    Gradients.backward(y, g);
    Bits.assertSame(expected, y, "output");
    Bits.assertSame(byX, x.grad(), "by x");
  }

  @Test
  void itsOutputMayBeChangedBeforeBackward() {
    Tensor x = Gradients.leaf(torch.randn(2, 3, 4, 4));
    Tensor t = Gradients.leaf(Tensor.create(0.5f));
    Tensor y = new MaxPoolClipFunction().apply(x, t);
    y.detach().zero_();
    y.sum().backward();
    assertEquals(24, Gradients.take(t)[0] + sum(Gradients.take(x)) + rectified(x));
  }

  private static double rectified(Tensor x) {
    return torch.max_pool2d(x.detach(), 2, 2).le(torch.zeros(1)).sum().item_double();
  }

  private static double sum(double[] values) {
    return Arrays.stream(values).sum();
  }
}
