package io.github.actclip.train;

import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.nn.EvaluationMode;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;

/** Measures a network on a data set. */
public final class Evaluator {

  /** Fixed, so that the same network gives the same numbers whatever it was trained with. */
  private static final int BATCH_SIZE = 250;

  private Evaluator() {}

  /**
   * Measures cross-entropy and accuracy.
   *
   * @see #evaluate(Network, Dataset, Loss, List, Device)
   */
  public static Evaluation evaluate(Network network, Dataset data, Device device) {
    return evaluate(network, data, Loss.crossEntropy(), List.of(Metric.accuracy()), device);
  }

  /**
   * Runs every sample through the network, in evaluation mode, without gradients and in the order
   * of the data set. Each module is in its own mode again afterwards; no other thread may use the
   * network meanwhile in another one.
   *
   * @param data as in the network's training, but for what was changed by chance
   * @param device where the network is
   */
  public static Evaluation evaluate(
      Network network, Dataset data, Loss loss, List<Metric> metrics, Device device) {
    Arguments.requireOpen("the network", network);
    Devices.requireUsable(device);
    DataLoader loader = DataLoader.sequential(data, BATCH_SIZE, device);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      RunningMetrics running = new RunningMetrics(device, metrics);
      return EvaluationMode.of(network, () -> read(network, loader, loss, running));
    }
  }

  private static Evaluation read(
      Network network, DataLoader loader, Loss loss, RunningMetrics running) {
    try (BatchIterator batches = loader.iterator()) {
      while (batches.hasNext()) {
        TensorScope.run(() -> addBatch(network, batches.next(), loss, running));
      }
    }
    return running.read();
  }

  private static void addBatch(Network network, Batch batch, Loss loss, RunningMetrics running) {
    Tensor output = forward(network, batch.data());
    running.add(loss(loss, output, batch.target()), output, batch.target());
  }

  /**
   * A loss.
   *
   * @throws ActclipException a failure, in place of what LibTorch throws
   */
  static Tensor loss(Loss loss, Tensor output, Tensor target) {
    return ActclipException.inOneSentence(
        () ->
            "the loss "
                + loss.text()
                + " fails on output of shape "
                + Arrays.toString(output.shape())
                + " and target of shape "
                + Arrays.toString(target.shape()),
        () -> loss.of(output, target));
  }

  /**
   * The output of a network.
   *
   * @throws ActclipException bad input, when it gives no tensor; a failure, in place of what
   *     LibTorch throws
   */
  @Internal
  public static Tensor forward(Network network, Tensor data) {
    Tensor output =
        ActclipException.inOneSentence(
            () ->
                "the network "
                    + network
                    + " fails on data of shape "
                    + Arrays.toString(data.shape()),
            () -> network.forward(data));
    if (!Arguments.isTensor(output)) { // Each step would make the name.
      Arguments.requireTensor("the output of the network " + network, output);
    }
    return output;
  }
}
