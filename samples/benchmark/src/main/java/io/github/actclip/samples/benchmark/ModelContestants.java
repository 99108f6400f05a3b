package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import java.util.List;
import org.bytedeco.pytorch.Device;

/**
 * A network other than {@code Net}, with learned clips, with what it has without us, and with PACT.
 */
final class ModelContestants {

  private static final int BITS = 4;

  private static final ActivationOptions CLIPS =
      ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(6));
  private static final ActivationOptions PACT =
      ActivationOptions.clip(new ClipOptions(ClipForm.TIED).initial(6))
          .quantized(QuantizationMethod.PACT, BITS, BITS);

  private final BenchmarkCase in;
  private final Architecture<?> architecture;
  private final Device device;
  private final Images images;

  /** The usual way to clip of a network. */
  static ActivationOptions clips(Architecture<?> architecture) {
    return architecture.equals(Architecture.NET) ? ActivationOptions.original() : CLIPS;
  }

  /** Belongs to the caller's scope. */
  ModelContestants(BenchmarkCase in, Device device) {
    this.in = in;
    architecture = Architecture.named(in.model());
    this.device = device;
    images = Images.random(in.size(), Wanted.SMALL_IMAGES, Wanted.FEW_CLASSES, device);
  }

  /** Ours first. */
  List<Contestant> all() {
    return List.of(
        contestant("actclip", made(CLIPS)),
        architecture.equals(Architecture.MOBILENET_V2)
            ? contestant("LibTorch's ReLU6", new Relu6MobileNetV2())
            : contestant("plain ReLU", made(ActivationOptions.relu())),
        contestant("PACT, 4 bits", made(PACT)));
  }

  private Network made(ActivationOptions activation) {
    return architecture.make(Wanted.small(activation));
  }

  private Contestant contestant(String name, Network network) {
    return new NetworkPasses(network, images, in.precision(), device).of(in.part(), name);
  }
}
