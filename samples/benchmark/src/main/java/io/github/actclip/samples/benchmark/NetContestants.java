package io.github.actclip.samples.benchmark;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.benchmark.BenchmarkCase.Part;
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
  private final Net net;
  private final SGD optimizer;
  private final Tensor images;
  private final Tensor labels;

  /** Of the original's images; belongs to the caller's scope. */
  NetContestants(BenchmarkCase in, Device device) {
    this(in.size(), NetOptions.original(), in.precision(), device);
  }

  /** Belongs to the caller's scope. */
  NetContestants(int batch, NetOptions options, Precision precision, Device device) {
    this.precision = precision;
    this.device = device;
    net = new Net(options);
    net.to(device, false);
    optimizer = new SGD(net.parameters(), new SGDOptions(0.001));
    int size = options.imageSize();
    try (Tensor drawn = torch.randn(batch, options.inChannels(), size, size)) {
      images = drawn.to(device, ScalarType.Float).contiguous(Net.MEMORY_FORMAT);
    }
    labels =
        torch
            .randint(
                0, options.numClasses(), new long[] {batch}, new TensorOptions(ScalarType.Long))
            .to(device, ScalarType.Long);
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
    Convolutions alone = new Convolutions();
    return List.of(
        new LocalContestant("actclip", trains ? this::step : this::forward, net.actMax()),
        new LocalContestant(
            "its convolutions", trains ? alone::bothWays : alone::forward, net.actMax()));
  }

  void step() {
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

  private Tensor inPrecision(Supplier<Tensor> forward) {
    return precision == Precision.FLOAT32
        ? forward.get()
        : Autocast.run(device, ScalarType.BFloat16, forward);
  }

  /** The network's two, each with an input of its own. */
  private final class Convolutions {

    private final Convolution conv1;
    private final Convolution conv2;

    Convolutions() {
      conv1 = new Convolution("conv1", images);
      Tensor between = torch.randn_like(torch.max_pool2d(conv1.gradient, 2, 2));
      conv2 = new Convolution("conv2", between.requires_grad_(true));
    }

    void forward() {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        conv1.forward();
        conv2.forward();
      }
    }

    void bothWays() {
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
  }

  /** One convolution of the network. */
  private final class Convolution {

    private final Tensor input;
    private final Tensor weight;
    private final Tensor bias;
    private final Tensor gradient;

    Convolution(String name, Tensor input) {
      Map<String, Tensor> parameters = StateDict.of(net);
      this.input = input;
      weight = alone(parameters.get(name + ".weight"));
      bias = alone(parameters.get(name + ".bias"));
      gradient = torch.randn_like(forward().detach());
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
