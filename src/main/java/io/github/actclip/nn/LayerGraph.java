package io.github.actclip.nn;

import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;

/**
 * What a network says its computation to, layer by layer, in {@link Network#describe}: an export
 * writes the layers down, {@link #eager} computes them.
 *
 * <pre>{@code
 * public <V> V describe(LayerGraph<V> graph, V x) {
 *   x = graph.batchNormClip(bn, clip, graph.conv(conv, x));
 *   return graph.linear(head, graph.globalAveragePool(x));
 * }
 * }</pre>
 *
 * @param <V> what stands for the activations
 */
public interface LayerGraph<V> {

  /** A convolution; its quantizer, if it has one, is found by {@link FakeQuantize#ofWeight}. */
  V conv(Conv2dImpl conv, V x);

  /** A linear layer, of (B, inputs); its quantizer is found likewise. */
  V linear(LinearImpl linear, V x);

  /** Batch normalisation. */
  V batchNorm(BatchNorm2dImpl norm, V x);

  /** Dropout, which does nothing outside of training. */
  V dropout(DropoutImpl dropout, V x);

  /** ReLU. */
  V relu(V x);

  /** A clip alone. */
  V clip(Clip clip, V x);

  /** A quantizer alone. */
  V fakeQuantize(FakeQuantize quantizer, V x);

  /** Max pooling of square windows, of (B, C, H, W). */
  V maxPool(int kernel, int stride, int padding, V x);

  /** The mean of each channel: (B, C) of (B, C, H, W). */
  V globalAveragePool(V x);

  /** (B, C·H·W) of (B, C, H, W). */
  V flatten(V x);

  /** The sum of two of the same shape. */
  V add(V x, V y);

  /** A network that is a part of this one. */
  default V network(Network part, V x) {
    return part.describe(this, x);
  }

  /** A layer that limits activations, as {@link ThresholdLayer#forward}. */
  default V limit(ThresholdLayer layer, V x) {
    return layer.describe(this, x);
  }

  /** As {@link Blocks#reluClip}. */
  default V reluClip(ThresholdLayer layer, V x) {
    return limit(layer, layer.rectifies() ? x : relu(x));
  }

  /** As {@link Blocks#batchNormClip}. */
  default V batchNormClip(BatchNorm2dImpl norm, ThresholdLayer layer, V x) {
    return reluClip(layer, batchNorm(norm, x));
  }

  /** As {@link Blocks#batchNormAddClip}. */
  default V batchNormAddClip(BatchNorm2dImpl norm, ThresholdLayer layer, V x, V addend) {
    return reluClip(layer, add(batchNorm(norm, x), addend));
  }

  /** As {@link Blocks#convBatchNormClip}. */
  default V convBatchNormClip(Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer layer, V x) {
    return batchNormClip(norm, layer, conv(conv, x));
  }

  /** As {@link Blocks#convBatchNormAddClip}. */
  default V convBatchNormAddClip(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer layer, V x, V addend) {
    return batchNormAddClip(norm, layer, conv(conv, x), addend);
  }

  /** As {@link Blocks#convMaxPoolClip}. */
  default V convMaxPoolClip(Conv2dImpl conv, ThresholdLayer layer, V x) {
    return reluClip(layer, maxPool(2, 2, 0, conv(conv, x)));
  }

  /** As {@link Blocks#convMaxPoolRelu}. */
  default V convMaxPoolRelu(Conv2dImpl conv, V x) {
    return relu(maxPool(2, 2, 0, conv(conv, x)));
  }

  /**
   * Computes at once, by {@link Blocks} where they have a short way, and frees what a part needed
   * by itself. So a network that describes itself needs no second text of its forward pass:
   *
   * <pre>{@code
   * public Tensor forward(Tensor x) {
   *   return LayerGraph.eager().network(this, x);
   * }
   * }</pre>
   *
   * <p>The caller's scope owns what it gives. Thread-safe.
   */
  static LayerGraph<Tensor> eager() {
    return EagerGraph.INSTANCE;
  }
}
