package io.github.actclip.samples.benchmark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.nn.Network;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

/** Who is timed beside ours computes the same. */
class Relu6MobileNetV2Test {

  static {
    LibTorch.load();
  }

  @Test
  void itIsOursWithClipsAtSix() {
    Network relu6 = new Relu6MobileNetV2();
    Network ours =
        Architecture.MOBILENET_V2.make(Wanted.small(Architecture.MOBILENET_V2.natural()));
    TensorScope.run(
        () -> {
          List<Tensor> from = weights(ours.parameters());
          List<Tensor> to = weights(relu6.parameters());
          assertEquals(from.size() - 35, to.size());
          from.removeIf(tensor -> tensor.numel() == 1); // the thresholds
          for (int i = 0; i < to.size(); i++) {
            to.get(i).set_data(from.get(i));
          }
          relu6.eval();
          ours.eval();
          Tensor x = torch.randn(2, 3, 32, 32).mul(torch.full(new long[] {1}, new Scalar(50)));
          assertTrue(torch.equal(ours.forward(x), relu6.forward(x)));
        });
  }

  private static List<Tensor> weights(TensorVector parameters) {
    return new ArrayList<>(
        LongStream.range(0, parameters.size()).mapToObj(parameters::get).toList());
  }
}
