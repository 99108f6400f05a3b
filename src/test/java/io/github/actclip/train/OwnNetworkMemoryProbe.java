package io.github.actclip.train;

import io.github.actclip.data.TensorDataset;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.testing.OwnNetwork;
import org.bytedeco.javacpp.Pointer;

/**
 * Trains one of {@link OwnNetwork} for 2,500 steps; prints by how many MiB the process grew over
 * the last 2,000 of them.
 */
final class OwnNetworkMemoryProbe {

  private static final int SAMPLES = 80;
  private static final int BATCH_SIZE = 8;
  private static final int WARM_UP = 50;
  private static final int EPOCHS = 250;

  private static long before;

  private OwnNetworkMemoryProbe() {}

  public static void main(String[] args) {
    var device = Devices.of("cpu"); // It comes first: it loads LibTorch.
    OwnNetwork kind = OwnNetwork.valueOf(args[0]);
    Network network = kind.make();
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.ADAMW).epochs(EPOCHS).batchSize(BATCH_SIZE).build();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onEpoch(Training training, EpochMetrics metrics) {
            if (metrics.epoch() == WARM_UP) {
              before = Pointer.physicalBytes();
            } else if (metrics.epoch() == EPOCHS) {
              System.out.println("\ngrew by " + ((Pointer.physicalBytes() - before) >> 20));
            }
          }
        };
    TensorDataset data = new TensorDataset("noise", kind.data(SAMPLES), kind.target(SAMPLES));
    new Trainer(network, options, device)
        .loss(kind.loss, kind.metric)
        .with(listener)
        .fit(data, data);
  }
}
