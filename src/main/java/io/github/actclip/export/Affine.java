package io.github.actclip.export;

import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.runtime.TensorNumbers;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;

/**
 * The numbers of a convolution or a linear layer, in float64; of a quantized weight what its codes
 * stand for.
 *
 * @param name of the weight
 * @param weight in the order of its shape, output channels first
 * @param bias of each output channel
 */
record Affine(String name, long[] shape, double[] weight, double[] bias) {

  /** Those of a layer; in the caller's scope. */
  static Affine of(String name, Module layer, Tensor weight, Tensor bias) {
    Tensor used =
        FakeQuantize.ofWeight(layer).map(quantizer -> quantizer.forward(weight)).orElse(weight);
    return new Affine(name, weight.shape(), TensorNumbers.of(used), bias(weight, bias));
  }

  /** The bias; zeros where there is none. */
  static double[] bias(Tensor weight, Tensor bias) {
    return bias.defined() ? TensorNumbers.of(bias) : new double[(int) weight.size(0)];
  }

  /** The same with something behind it. */
  Affine then(ChannelMap map) {
    double[] mapped = new double[weight.length];
    int perChannel = weight.length / bias.length;
    for (int i = 0; i < mapped.length; i++) {
      mapped[i] = weight[i] * map.factor()[i / perChannel];
    }
    return new Affine(name, shape, mapped, map.of(bias));
  }

  /** Writes the weight; gives its name. */
  String writeWeight(OnnxGraph graph) {
    return graph.floats(name, weight, shape);
  }

  /** Writes the bias; gives its name. */
  String writeBias(OnnxGraph graph) {
    return graph.floats(name.replaceFirst("weight$", "bias"), bias, bias.length);
  }
}
