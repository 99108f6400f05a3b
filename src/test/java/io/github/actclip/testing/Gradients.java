package io.github.actclip.testing;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Edge;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
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

  /** Sends g itself backward from y: in a product, what is multiplied by 0 may become NaN. */
  public static void send(Tensor y, Tensor g) {
    y.backward(g, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  /**
   * How many convolutions of LibTorch's own are to be differentiated on the way back from y: those
   * that went into a single operation with what follows them are not there.
   */
  public static long convolutions(Tensor y) {
    return nodes(y, "ConvolutionBackward");
  }

  /** Likewise, of another operation's nodes, whose names begin so. */
  public static long nodes(Tensor y, String begin) {
    List<Node> nodes = new ArrayList<>(List.of(y.grad_fn()));
    Set<Long> seen = new HashSet<>();
    long count = 0;
    for (int i = 0; i < nodes.size(); i++) {
      Node node = nodes.get(i);
      if (seen.add(node.address())) {
        count += node.name().getString().startsWith(begin) ? 1 : 0;
        for (int edge = 0; edge < node.num_outputs(); edge++) {
          Edge next = node.next_edge(edge);
          if (next.is_valid()) {
            nodes.add(next.function());
          }
        }
      }
    }
    return count;
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
