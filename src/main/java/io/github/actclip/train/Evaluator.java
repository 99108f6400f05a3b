package io.github.actclip.train;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Measures a network on a data set. */
public final class Evaluator {

  /** Fixed, so that the same network gives the same numbers whatever it was trained with. */
  private static final int BATCH_SIZE = 250;

  private Evaluator() {}

  /**
   * Runs every image through the network as it is, without gradients and in the order of the data
   * set.
   *
   * @param device where the network is
   */
  public static Evaluation evaluate(Net net, ImageDataset data, Device device) {
    return evaluate(net, data, Normalization.none(), device);
  }

  /**
   * Runs every image through the network, without gradients and in the order of the data set.
   *
   * @param normalization that of the network's training
   * @param device where the network is
   */
  public static Evaluation evaluate(
      Net net, ImageDataset data, Normalization normalization, Device device) {
    Arguments.requireOpen("the network", net);
    Devices.requireUsable(device);
    DataLoader loader = DataLoader.sequential(data.transformed(normalization), BATCH_SIZE, device);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      RunningMetrics metrics = new RunningMetrics(device);
      for (Batch batch : loader) {
        TensorScope.run(() -> addBatch(net, batch, metrics));
      }
      return metrics.read();
    }
  }

  private static void addBatch(Net net, Batch batch, RunningMetrics metrics) {
    Tensor logits = net.forward(batch.data());
    metrics.add(torch.cross_entropy_loss(logits, batch.target()), logits, batch.target());
  }
}
