package io.github.actclip.autograd;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Gradients;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Says of each way whether the input was overwritten, and whether the numbers are right. */
final class InPlaceProbe {

  private InPlaceProbe() {}

  public static void main(String[] args) {
    LibTorch.load();
    for (InPlaceWay way : InPlaceWay.values()) {
      TensorScope.run(() -> System.out.println("\n" + way + " " + tried(way)));
    }
  }

  private static String tried(InPlaceWay way) {
    Tensor leaf = Gradients.leaf(torch.randn(30_000));
    Tensor t = Gradients.leaf(Tensor.create(0.05f));
    Tensor expected = way.outOfPlace(InPlaceWay.intermediate(leaf), t);
    expected.sum().backward();
    double[] byX = Gradients.take(leaf);
    double[] byT = Gradients.take(t);
    Tensor x = InPlaceWay.intermediate(leaf);
    Tensor y = way.inPlace(x, t);
    y.sum().backward();
    boolean right =
        y.equal(expected)
            && Arrays.equals(byX, Gradients.take(leaf))
            && Arrays.equals(byT, Gradients.take(t));
    return (y.is_same(x) ? "overwritten" : "left") + ", " + (right ? "right" : "wrong");
  }
}
