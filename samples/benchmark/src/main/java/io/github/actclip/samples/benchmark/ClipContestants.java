package io.github.actclip.samples.benchmark;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.TensorScope;
import java.util.List;
import java.util.function.BinaryOperator;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** ReLU and clip, forward and backward, float32, by our kernels and by LibTorch's operations. */
final class ClipContestants {

  private final Tensor x;
  private final Tensor t;
  private final Tensor g;
  private final Tensor out;

  /** Belongs to the caller's scope. */
  ClipContestants(BenchmarkCase in, Device device) {
    x = torch.randn(in.size()).to(device, ScalarType.Float).requires_grad_(true);
    t = torch.ones(1).to(device, ScalarType.Float).requires_grad_(true);
    g = torch.randn(in.size()).to(device, ScalarType.Float);
    out = torch.zeros_like(g);
  }

  /** Ours first. The triad goes over 12 bytes an element, and the least that a clip must is 20. */
  List<Contestant> all() {
    return List.of(
        new LocalContestant("actclip", this::clip, t),
        new LocalContestant("relu, where", this::composed, t),
        new LocalContestant("a = b + 3c", this::triad, t));
  }

  private void clip() {
    pass((input, top) -> ClipFunctions.relu(input, top, ThresholdGradient.SUM));
  }

  private void composed() {
    pass(
        (input, top) -> {
          Tensor rectified = input.relu();
          return torch.where(rectified.gt(top), top, rectified);
        });
  }

  private void triad() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      torch.add_out(out, g, x, new Scalar(3));
    }
  }

  private void pass(BinaryOperator<Tensor> clip) {
    TensorScope.run(
        () -> {
          Tensor y = clip.apply(x, t);
          y.backward(g, new BoolOptional(), false, new TensorArrayRefOptional());
          x.mutable_grad().reset();
          t.mutable_grad().reset();
        });
  }
}
