package io.github.actclip.nn;

import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Computes what is described, with tensors. */
enum EagerGraph implements LayerGraph<Tensor> {
  INSTANCE;

  private static final long[] ONES = {1, 1};

  @Override
  public Tensor conv(Conv2dImpl conv, Tensor x) {
    return conv.forward(x);
  }

  @Override
  public Tensor linear(LinearImpl linear, Tensor x) {
    return linear.forward(x);
  }

  @Override
  public Tensor batchNorm(BatchNorm2dImpl norm, Tensor x) {
    return norm.forward(x);
  }

  @Override
  public Tensor dropout(DropoutImpl dropout, Tensor x) {
    return dropout.forward(x);
  }

  @Override
  public Tensor relu(Tensor x) {
    return x.relu();
  }

  @Override
  public Tensor clip(Clip clip, Tensor x) {
    return clip.forward(x);
  }

  @Override
  public Tensor fakeQuantize(FakeQuantize quantizer, Tensor x) {
    return quantizer.forward(x);
  }

  @Override
  public Tensor maxPool(int kernel, int stride, int padding, Tensor x) {
    return torch.max_pool2d(
        x,
        new long[] {kernel, kernel},
        new long[] {stride, stride},
        new long[] {padding, padding},
        ONES,
        false);
  }

  @Override
  public Tensor globalAveragePool(Tensor x) {
    return torch.adaptive_avg_pool2d(x, 1, 1).flatten(1, -1);
  }

  @Override
  public Tensor flatten(Tensor x) {
    return x.flatten(1, -1);
  }

  @Override
  public Tensor add(Tensor x, Tensor y) {
    return x.add(y);
  }

  @Override
  public Tensor network(Network part, Tensor x) {
    try (TensorScope scope = new TensorScope()) {
      Tensor y = part.describe(this, x);
      return scope.pass(y == x ? new Tensor(x) : y); // a handle of its own, as the others give
    }
  }

  @Override
  public Tensor reluClip(ThresholdLayer layer, Tensor x) {
    return Blocks.reluClip(layer, x);
  }

  @Override
  public Tensor batchNormClip(BatchNorm2dImpl norm, ThresholdLayer layer, Tensor x) {
    return Blocks.batchNormClip(norm, layer, x);
  }

  @Override
  public Tensor batchNormAddClip(
      BatchNorm2dImpl norm, ThresholdLayer layer, Tensor x, Tensor addend) {
    return Blocks.batchNormAddClip(norm, layer, x, addend);
  }

  @Override
  public Tensor convBatchNormClip(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer layer, Tensor x) {
    return Blocks.convBatchNormClip(conv, norm, layer, x);
  }

  @Override
  public Tensor convBatchNormAddClip(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer layer, Tensor x, Tensor addend) {
    return Blocks.convBatchNormAddClip(conv, norm, layer, x, addend);
  }

  @Override
  public Tensor convMaxPoolClip(Conv2dImpl conv, ThresholdLayer layer, Tensor x) {
    return Blocks.convMaxPoolClip(conv, layer, x);
  }

  @Override
  public Tensor convMaxPoolRelu(Conv2dImpl conv, Tensor x) {
    return Blocks.convMaxPoolRelu(conv, x);
  }
}
