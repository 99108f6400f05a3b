package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.testing.Gradients;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Batch normalisation and a layer, what goes in, and what comes out of them one by one. */
final class BatchNormRun {

  static final int CHANNELS = 16;

  /** So near to where a layer's slope changes float32 and float64 may be on two sides of it. */
  private static final double NEAR = 1e-3;

  final BatchNorm2dImpl norm;
  final ThresholdLayer layer;
  final Tensor x;
  final Optional<Tensor> addend;

  /** Numbers of the normalisation and values that depend on the number of channels alone. */
  BatchNormRun(
      IntFunction<ThresholdLayer> made, ScalarType type, Tensor x, Optional<Tensor> addend) {
    this(new BatchNorm2dImpl(new BatchNormOptions(x.size(1))), made, type, x, addend);
    norm.weight().set_data(between(-0.5, 1.5));
    norm.bias().set_data(between(0.7, -0.3));
    norm.to(type, false);
  }

  BatchNormRun(
      BatchNorm2dImpl norm,
      IntFunction<ThresholdLayer> made,
      ScalarType type,
      Tensor x,
      Optional<Tensor> addend) {
    this.norm = norm;
    layer = made.apply(Math.toIntExact(x.size(1)));
    norm.to(type, false);
    layer.to(type, false);
    this.x = Gradients.leaf(x.to(type));
    this.addend = addend.map(added -> Gradients.leaf(added.to(type)));
  }

  /** Clipped at 0.8, of the dtype of x. */
  static BatchNormRun of(BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    return new BatchNormRun(norm, c -> clip(), x.scalar_type().intern(), x, addend);
  }

  static BatchNorm2dImpl norm() {
    return new BatchNorm2dImpl(new BatchNormOptions(CHANNELS));
  }

  /** From a batch of 13 on more than the 20,000 elements that the short way begins with. */
  static Tensor images(long batch) {
    return torch.randn(batch, CHANNELS, 10, 10).contiguous(MemoryFormat.ChannelsLast);
  }

  static Clip clip() {
    return new Clip(new ClipOptions(ClipForm.RELU).initial(0.8));
  }

  private Tensor between(double first, double last) {
    return torch.linspace(new Scalar(first), new Scalar(last), norm.weight().numel());
  }

  Tensor block() {
    return addend
        .map(added -> Blocks.batchNormAddClip(norm, layer, x, added))
        .orElseGet(() -> Blocks.batchNormClip(norm, layer, x));
  }

  Tensor oneByOne() {
    Tensor y = norm.forward(x);
    return limited(addend.map(y::add).orElse(y));
  }

  private Tensor limited(Tensor y) {
    return layer.forward(layer.rectifies() ? y : y.relu());
  }

  /** What comes to the layer in training, by the definition. */
  Tensor beforeLayer() {
    Tensor mean = x.mean(0, 2, 3).view(1, -1, 1, 1);
    Tensor from = x.sub(mean);
    Tensor variance = from.square().mean(0, 2, 3).view(1, -1, 1, 1);
    Tensor normal = from.div(variance.add(new Scalar(1e-5)).sqrt());
    Tensor scaled = normal.mul(norm.weight().view(1, -1, 1, 1));
    Tensor y = scaled.add(norm.bias().view(1, -1, 1, 1));
    return addend.map(y::add).orElse(y).detach();
  }

  /** Where the layer's output and slope are the same nearby: one, else zero. */
  Tensor steady() {
    Tensor below = Gradients.leaf(beforeLayer().sub(new Scalar(NEAR)));
    Tensor above = Gradients.leaf(beforeLayer().add(new Scalar(NEAR)));
    Tensor low = limited(below);
    Tensor high = limited(above);
    Tensor rises = high.sub(low).abs().gt(new Scalar(3 * NEAR));
    low.sum().backward();
    high.sum().backward();
    layer.zero_grad(true);
    Tensor bends = above.grad().sub(below.grad()).abs().gt(new Scalar(10 * NEAR));
    return rises.logical_or(bends).logical_not().to(x.scalar_type());
  }

  /** y, the gradients when g is sent back from it, and the running statistics, in float64. */
  List<Tensor> results(Tensor y, Tensor g) {
    Gradients.backward(y, g.to(y.scalar_type()));
    List<Tensor> results = new ArrayList<>(List.of(y.detach()));
    take(x, results);
    addend.ifPresent(added -> take(added, results));
    take(norm.parameters(), results);
    take(layer.parameters(), results);
    results.addAll(running());
    return results.stream().map(result -> result.to(ScalarType.Double)).toList();
  }

  /** Copies of the running statistics, if there are any, and of how many batches they are of. */
  List<Tensor> running() {
    return norm.running_mean().defined()
        ? List.of(
            norm.running_mean().clone(),
            norm.running_var().clone(),
            norm.num_batches_tracked().clone())
        : List.of();
  }

  private static void take(TensorVector leaves, List<Tensor> results) {
    for (long i = 0; i < leaves.size(); i++) {
      take(leaves.get(i), results);
    }
  }

  /** The gradient, if there is one; the leaf has none afterwards. */
  private static void take(Tensor leaf, List<Tensor> results) {
    if (leaf.grad().defined()) {
      results.add(leaf.grad().clone());
      leaf.mutable_grad().reset();
    }
  }

  static void assertClose(List<Tensor> expected, List<Tensor> actual) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      double largest = expected.get(i).abs().max().item_double() + 1e-3;
      double wrong = expected.get(i).sub(actual.get(i)).abs().max().item_double();
      assertTrue(wrong <= 2e-5 * largest, "result " + i + ": " + wrong + " of " + largest);
    }
  }
}
