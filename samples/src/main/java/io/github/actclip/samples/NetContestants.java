package io.github.actclip.samples;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Net;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.BenchmarkCase.Part;
import io.github.actclip.train.Precision;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Net, and the calls of its two convolutions alone, to which everything else is an addition. */
final class NetContestants {

  private static final long[] ONES = {1, 1};
  private static final long[] ZEROS = {0, 0};

  private final Precision precision;
  private final Device device;
  private final Net net = new Net();
  private final SGD optimizer;
  private final Tensor images;
  private final Tensor labels;
  private final Convolution conv1;
  private final Convolution conv2;

  /** Belongs to the caller's scope. */
  NetContestants(BenchmarkCase in, Device device) {
    this.precision = in.precision();
    this.device = device;
    net.to(device, false);
    optimizer = new SGD(net.parameters(), new SGDOptions(0.001));
    images = random(in.size(), 3, 32);
    labels =
        torch
            .randint(0, 10, new long[] {in.size()}, new TensorOptions(ScalarType.Long))
            .to(device, ScalarType.Long);
    conv1 = new Convolution("conv1", images, inside(random(in.size(), 32, 28)));
    Tensor between = inside(random(in.size(), 32, 14)).requires_grad_(true);
    conv2 = new Convolution("conv2", between, inside(random(in.size(), 64, 10)));
  }

  /** Steps whose data are always the same, at least so many at once. */
  Contestant steps(int least) {
    Contestant steps = new LocalContestant("its steps", this::step, net.actMax());
    return new Contestant() {
      @Override
      public String name() {
        return steps.name();
      }

      @Override
      public double measure(int passes) {
        return steps.measure(Math.max(passes, least));
      }
    };
  }

  /** Ours first. */
  List<Contestant> of(Part part) {
    boolean trains = part == Part.STEP;
    return List.of(
        new LocalContestant("actclip", trains ? this::step : this::forward, net.actMax()),
        new LocalContestant(
            "its convolutions", trains ? this::convolveBothWays : this::convolve, net.actMax()));
  }

  private Tensor random(int batch, int channels, int size) {
    return torch
        .randn(batch, channels, size, size)
        .to(device, ScalarType.Float)
        .contiguous(Net.MEMORY_FORMAT);
  }

  /** Of the dtype that tensors have within the network. */
  private Tensor inside(Tensor tensor) {
    return precision == Precision.FLOAT32 ? tensor : tensor.to(ScalarType.BFloat16);
  }

  private void step() {
    TensorScope.run(
        () -> {
          optimizer.zero_grad();
          Tensor logits = inPrecision(() -> net.forward(images)).to(ScalarType.Float);
          torch.cross_entropy_loss(logits, labels).backward();
          optimizer.step();
        });
  }

  private void forward() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      inPrecision(() -> net.forward(images));
    }
  }

  private void convolve() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      conv1.forward();
      conv2.forward();
    }
  }

  private void convolveBothWays() {
    TensorScope.run(
        () -> {
          torch.backward(
              new TensorVector(conv1.forward(), conv2.forward()),
              new TensorVector(conv1.gradient, conv2.gradient),
              new BoolOptional(),
              false,
              new TensorVector());
          conv1.forgetGradients();
          conv2.forgetGradients();
        });
  }

  private Tensor inPrecision(Supplier<Tensor> forward) {
    return precision == Precision.FLOAT32
        ? forward.get()
        : Autocast.run(device, ScalarType.BFloat16, forward);
  }

  /** One convolution of the network. */
  private final class Convolution {

    private final Tensor input;
    private final Tensor weight;
    private final Tensor bias;
    private final Tensor gradient;

    Convolution(String name, Tensor input, Tensor gradient) {
      Map<String, Tensor> parameters = StateDict.of(net);
      this.input = input;
      weight = alone(parameters.get(name + ".weight"));
      bias = alone(parameters.get(name + ".bias"));
      this.gradient = gradient;
    }

    private static Tensor alone(Tensor parameter) {
      return parameter.detach().clone().requires_grad_(true);
    }

    Tensor forward() {
      return inPrecision(
          () -> torch.conv2d(input, weight, new TensorOptional(bias), ONES, ZEROS, ONES, 1));
    }

    void forgetGradients() {
      weight.mutable_grad().reset();
      bias.mutable_grad().reset();
      if (input.requires_grad()) {
        input.mutable_grad().reset();
      }
    }
  }
}
