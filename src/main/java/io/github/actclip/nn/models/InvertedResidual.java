package io.github.actclip.nn.models;

import io.github.actclip.nn.Network;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Tensor;

/** Channels are multiplied, each convolved by itself, and mixed into few again. */
final class InvertedResidual extends Network {

  private final Sequential conv;
  private final boolean addsInput;

  InvertedResidual(Layers layers, int in, int out, int stride, int expansion) {
    addsInput = stride == 1 && in == out;
    int hidden = in * expansion;
    Sequential parts = new Sequential();
    if (expansion != 1) {
      parts.then(layers.convNormActivation(in, hidden, 1, 1, 1));
    }
    conv =
        register(
            "conv",
            parts
                .then(layers.convNormActivation(hidden, hidden, 3, stride, hidden))
                .then(layers.conv(hidden, out, 1, 1, 1), Conv2dImpl::forward)
                .then(layers.norm(out), BatchNorm2dImpl::forward));
  }

  @Override
  public Tensor forward(Tensor x) {
    if (!addsInput) {
      return conv.forward(x);
    }
    try (TensorScope scope = new TensorScope()) {
      return scope.pass(x.add(conv.forward(x)));
    }
  }
}
