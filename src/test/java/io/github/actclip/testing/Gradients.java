package io.github.actclip.testing;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Leaves, and the gradients that arrive at them. */
public final class Gradients {

  private Gradients() {}

  /** The same values as a leaf that requires a gradient. */
  public static Tensor leaf(Tensor values) {
    return values.detach().clone().requires_grad_(true);
  }

  /** Normally distributed float64 numbers. */
  public static Tensor normal(long... shape) {
    return torch.randn(shape).to(ScalarType.Double);
  }

  /** Sends g backward from y. */
  public static void backward(Tensor y, Tensor g) {
    y.mul(g).sum().backward();
  }

  /** The gradient at a leaf, zeros when none arrived; the leaf has none afterwards. */
  public static double[] take(Tensor leaf) {
    if (!leaf.grad().defined()) {
      return new double[Math.toIntExact(leaf.numel())];
    }
    double[] gradient = Fixture.values(leaf.grad());
    leaf.mutable_grad().reset();
    return gradient;
  }
}
