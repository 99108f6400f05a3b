package io.github.actclip.train;

import io.github.actclip.data.TensorDataset;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.testing.OwnNetwork;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.global.torch;

/**
 * Trains one of {@link OwnNetwork} for 2,500 steps; prints by how many MiB the process grew over
 * the last 2,000 of them.
 */
final class OwnNetworkMemoryProbe {

  private static final int SAMPLES = 400;
  private static final int BATCH_SIZE = 8;
  private static final int WARM_UP = 10;
  private static final int EPOCHS = 50;

  private static long before;

  private OwnNetworkMemoryProbe() {}

  public static void main(String[] args) {
    var device = Devices.of("cpu"); // It comes first: it loads LibTorch.
    torch.set_num_threads(1); // Two wait for each other longer than such small tensors take.
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
