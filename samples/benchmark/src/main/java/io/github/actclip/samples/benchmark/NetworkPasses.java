package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.Network;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.benchmark.BenchmarkCase.Part;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What a network does with images that are always the same: training steps, forward passes. */
final class NetworkPasses {

  private final Network network;
  private final SGD optimizer;
  private final Images images;
  private final Precision precision;
  private final Device device;

  /** Belongs to the caller's scope. */
  NetworkPasses(Network network, Images images, Precision precision, Device device) {
    this.network = network;
    this.images = images;
    this.precision = precision;
    this.device = device;
    network.to(device, false);
    optimizer = new SGD(network.parameters(), new SGDOptions(0.001));
  }

  /** As who is measured at it; in the mode that the part is done in. */
  Contestant of(Part part, String name) {
    boolean trains = part == Part.STEP;
    network.train(trains);
    Tensor touched = network.parameters().get(0);
    return new LocalContestant(name, trains ? this::step : this::forward, touched);
  }

  void step() {
    TensorScope.run(
        () -> {
          optimizer.zero_grad();
          Tensor logits = inPrecision(() -> network.forward(images.data())).to(ScalarType.Float);
          torch.cross_entropy_loss(logits, images.labels()).backward();
          optimizer.step();
        });
  }

  private void forward() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      inPrecision(() -> network.forward(images.data()));
    }
  }

  Tensor inPrecision(Supplier<Tensor> forward) {
    return precision == Precision.FLOAT32
        ? forward.get()
        : Autocast.run(device, ScalarType.BFloat16, forward);
  }
}
