package io.github.actclip.export;

import ai.onnx.proto.OnnxMl.AttributeProto;
import io.github.actclip.nn.ConvGeometry;
import io.github.actclip.runtime.ActclipException;
import org.bytedeco.pytorch.Conv2dImpl;

/** How a window goes over an image, in height and width: that of a convolution or of pooling. */
record Window(long[] kernel, long[] stride, long[] padding, long[] dilation, long groups) {

  /** That of pooling, which is square. */
  static Window pool(int kernel, int stride, int padding) {
    return new Window(twice(kernel), twice(stride), twice(padding), twice(1), 1);
  }

  /**
   * That of a convolution.
   *
   * @throws ActclipException bad input, when its padding is of something else than zeros
   */
  static Window of(String name, Conv2dImpl conv) {
    ConvGeometry geometry =
        ConvGeometry.of(
            conv,
            () ->
                ActclipException.badInput(
                    "the padding of %s is a word, or of something else than zeros: only two numbers"
                        + " of zeros can be exported",
                    name));
    return new Window(
        geometry.kernel(),
        geometry.stride(),
        geometry.padding(),
        geometry.dilation(),
        geometry.groups());
  }

  private static long[] twice(long value) {
    return new long[] {value, value};
  }

  /** How many places it has along one dimension (0: height, 1: width) of that size. */
  int places(int dimension, int size) {
    long reach = dilation[dimension] * (kernel[dimension] - 1) + 1;
    return (int) ((size + 2 * padding[dimension] - reach) / stride[dimension]) + 1;
  }

  /** Where in the image the k-th of its rows or columns is at that place; maybe beyond the edge. */
  int at(int dimension, int place, int k) {
    return (int) (place * stride[dimension] + k * dilation[dimension] - padding[dimension]);
  }

  /** As attributes of {@code MaxPool}. */
  AttributeProto[] ofPool() {
    return new AttributeProto[] {
      OnnxGraph.numbers("kernel_shape", kernel),
      OnnxGraph.numbers("strides", stride),
      OnnxGraph.numbers("pads", padding[0], padding[1], padding[0], padding[1])
    };
  }

  /** As attributes of {@code Conv}. */
  AttributeProto[] ofConv() {
    return new AttributeProto[] {
      OnnxGraph.numbers("kernel_shape", kernel),
      OnnxGraph.numbers("strides", stride),
      OnnxGraph.numbers("pads", padding[0], padding[1], padding[0], padding[1]),
      OnnxGraph.numbers("dilations", dilation),
      OnnxGraph.number("group", groups)
    };
  }
}
