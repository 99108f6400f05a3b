package io.github.actclip.samples.benchmark;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.benchmark.BenchmarkCase.Part;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** Net, and the calls of its two convolutions alone, to which everything else is an addition. */
final class NetContestants {

  private static final long[] ONES = {1, 1};
  private static final long[] ZEROS = {0, 0};

  private final Net net;
  private final Images images;
  private final NetworkPasses passes;

  /** Of the original's images; belongs to the caller's scope. */
  NetContestants(BenchmarkCase in, Device device) {
    this(in.size(), NetOptions.original(), in.precision(), device);
  }

  /** Belongs to the caller's scope. */
  NetContestants(int batch, NetOptions options, Precision precision, Device device) {
    net = new Net(options);
    images = Images.random(batch, options.imageSize(), options.numClasses(), device);
    passes = new NetworkPasses(net, images, precision, device);
  }

  /** Steps whose data are always the same, at least so many at once. */
  Contestant steps(int least) {
    Contestant steps = passes.of(Part.STEP, "its steps");
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
        passes.of(part, "actclip"),
        new LocalContestant(
            "its convolutions", trains ? alone::bothWays : alone::forward, net.actMax()));
  }

  void step() {
    passes.step();
  }

  /** The network's two, each with an input of its own. */
  private final class Convolutions {

    private final Convolution conv1;
    private final Convolution conv2;

    Convolutions() {
      conv1 = new Convolution("conv1", images.data());
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
      return passes.inPrecision(
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
