package io.github.actclip.testing;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.TensorDataset;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Three epochs of four steps of a network of one's own, on 30 samples; always the same ones. */
public final class SmallTraining implements AutoCloseable {

  private static final int SAMPLES = 30;
  private static final TrainerOptions OPTIONS =
      TrainerOptions.builder(OptimizerType.ADAMW).epochs(3).batchSize(8).build();

  private final OwnNetwork kind;
  private final TensorDataset data;
  private final TensorDataset others;

  public SmallTraining(OwnNetwork kind) {
    this.kind = kind;
    data = samples(kind, 1);
    others = samples(kind, 2);
  }

  private static TensorDataset samples(OwnNetwork kind, long seed) {
    torch.manual_seed(seed);
    try (Tensor data = kind.data(SAMPLES);
        Tensor target = kind.target(SAMPLES)) {
      return new TensorDataset("numbers", data, target);
    }
  }

  public Dataset data() {
    return data;
  }

  /** As many others. */
  public Dataset otherData() {
    return others;
  }

  public Trainer trainer(Network network) {
    return trainer(network, OPTIONS);
  }

  /** One epoch more. */
  public Trainer longer() {
    return trainer(kind.make(), OPTIONS.toBuilder().epochs(OPTIONS.epochs() + 1).build());
  }

  /** With another learning rate. */
  public Trainer faster() {
    return trainer(kind.make(), OPTIONS.toBuilder().learningRate(0.1).build());
  }

  private Trainer trainer(Network network, TrainerOptions options) {
    return new Trainer(network, options, Devices.of("cpu")).loss(kind.loss, kind.metric);
  }

  @Override
  public void close() {
    data.close();
    others.close();
  }
}
