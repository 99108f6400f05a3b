package io.github.actclip.nn.models;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizedConv2d;
import io.github.actclip.nn.QuantizedLinear;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.FanModeType;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Nonlinearity;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.kFanOut;
import org.bytedeco.pytorch.kReLU;

/**
 * Makes the layers of a network as torchvision's are, and as the options say that it clips. Weights
 * start anew when all layers are there; their quantizers are calibrated only after that.
 */
record Layers(ActivationOptions options) {

  /** Of zeros around what the kernel needs, and without a bias, as batch normalisation has one. */
  Conv2dImpl conv(int in, int out, int kernel, int stride, int groups) {
    Conv2dOptions shape = new Conv2dOptions(in, out, pair(kernel));
    shape.stride().put(pair(stride));
    shape.padding().put(pair(kernel / 2));
    shape.groups().put(groups);
    shape.bias().put(false);
    if (!options.quantizesWeights()) {
      return new Conv2dImpl(shape);
    }
    FakeQuantize quantizer = new FakeQuantize(options.weights(out));
    Conv2dImpl conv = new QuantizedConv2d(shape, quantizer);
    conv.register_module(QuantizedLinear.CHILD, quantizer);
    return conv;
  }

  private static LongPointer pair(int size) {
    return new LongPointer(size, size);
  }

  BatchNorm2dImpl norm(int channels) {
    return new BatchNorm2dImpl(new BatchNormOptions(channels));
  }

  ThresholdLayer activation(int channels) {
    return options.layer(channels);
  }

  LinearImpl linear(int in, int out) {
    LinearOptions shape = new LinearOptions(in, out);
    if (!options.quantizesWeights()) {
      return new LinearImpl(shape);
    }
    FakeQuantize quantizer = new FakeQuantize(options.weights(out));
    LinearImpl linear = new QuantizedLinear(shape, quantizer);
    linear.register_module(QuantizedLinear.CHILD, quantizer);
    return linear;
  }

  /** A convolution and its normalisation. */
  Sequential convNorm(int in, int out, int kernel, int stride, int groups) {
    return new Sequential()
        .then(conv(in, out, kernel, stride, groups), LayerGraph::conv)
        .then(norm(out), LayerGraph::batchNorm);
  }

  /** The same, and a ReLU that clips. */
  Sequential convNormActivation(int in, int out, int kernel, int stride, int groups) {
    return new Sequential()
        .thenConvNormActivation(conv(in, out, kernel, stride, groups), norm(out), activation(out));
  }

  /** Starts the weights of all convolutions, in their order, as torchvision does. */
  static void startConvolutions(Network network) {
    TensorScope.run(
        () -> {
          FanModeType out = new FanModeType(new kFanOut());
          Nonlinearity relu = new Nonlinearity(new kReLU());
          TensorVector parameters = network.parameters();
          for (long i = 0; i < parameters.size(); i++) {
            Tensor parameter = parameters.get(i);
            if (parameter.dim() == 4) {
              torch.kaiming_normal_(parameter, 0, out, relu);
            }
          }
        });
  }
}
