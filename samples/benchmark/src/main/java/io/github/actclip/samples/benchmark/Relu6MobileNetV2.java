package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.DropoutImpl;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** MobileNetV2 of three channels and ten classes, limited by LibTorch's own ReLU6, in place. */
final class Relu6MobileNetV2 extends Network {

  /** Of each stage: how many times the channels, how many of them, blocks, stride of the first. */
  private static final int[][] STAGES = {
    {1, 16, 1, 1},
    {6, 24, 2, 2},
    {6, 32, 3, 2},
    {6, 64, 4, 2},
    {6, 96, 3, 1},
    {6, 160, 3, 2},
    {6, 320, 1, 1},
  };

  private static final int STEM = 32;
  private static final int LAST = 1280;

  private final List<UnaryOperator<Tensor>> features = new ArrayList<>();
  private final DropoutImpl dropout;
  private final LinearImpl linear;

  /** By which modules are named. */
  private int count;

  Relu6MobileNetV2() {
    features.add(limited(3, STEM, 3, 2, 1));
    int in = STEM;
    for (int[] stage : STAGES) {
      for (int i = 0; i < stage[2]; i++) {
        features.add(block(in, stage[1], i == 0 ? stage[3] : 1, stage[0]));
        in = stage[1];
      }
    }
    features.add(limited(in, LAST, 1, 1, 1));
    dropout = register("dropout", new DropoutImpl(0.2));
    linear = register("linear", new LinearImpl(LAST, 10));
    toChannelsLast();
  }

  private UnaryOperator<Tensor> block(int in, int out, int stride, int expansion) {
    int hidden = in * expansion;
    UnaryOperator<Tensor> expand = expansion == 1 ? x -> x : limited(in, hidden, 1, 1, 1);
    UnaryOperator<Tensor> filter = limited(hidden, hidden, 3, stride, hidden);
    UnaryOperator<Tensor> project = normalized(hidden, out, 1, 1, 1);
    boolean addsInput = stride == 1 && in == out;
    return x -> {
      Tensor y = project.apply(filter.apply(expand.apply(x)));
      return addsInput ? x.add(y) : y;
    };
  }

  private UnaryOperator<Tensor> limited(int in, int out, int kernel, int stride, int groups) {
    UnaryOperator<Tensor> norm = normalized(in, out, kernel, stride, groups);
    return x -> {
      Tensor y = norm.apply(x);
      torch.relu6_(y); // What that returns is no handle of its own.
      return y;
    };
  }

  private UnaryOperator<Tensor> normalized(int in, int out, int kernel, int stride, int groups) {
    Conv2dOptions shape = new Conv2dOptions(in, out, pair(kernel));
    shape.stride().put(pair(stride));
    shape.padding().put(pair(kernel / 2));
    shape.groups().put(groups);
    shape.bias().put(false);
    Conv2dImpl conv = register("conv" + count, new Conv2dImpl(shape));
    BatchNorm2dImpl norm = register("norm" + count, new BatchNorm2dImpl(new BatchNormOptions(out)));
    count++;
    return x -> norm.forward(conv.forward(x));
  }

  private static LongPointer pair(int size) {
    return new LongPointer(size, size);
  }

  @Override
  public Tensor forward(Tensor images) {
    try (TensorScope scope = new TensorScope()) {
      Tensor x = images.contiguous(Net.MEMORY_FORMAT);
      for (UnaryOperator<Tensor> feature : features) {
        x = freeing(feature, x);
      }
      x = torch.adaptive_avg_pool2d(x, 1, 1).flatten(1, -1);
      return scope.pass(linear.forward(dropout.forward(x)));
    }
  }

  private static Tensor freeing(UnaryOperator<Tensor> feature, Tensor x) {
    try (TensorScope scope = new TensorScope()) {
      return scope.pass(feature.apply(x));
    }
  }
}
