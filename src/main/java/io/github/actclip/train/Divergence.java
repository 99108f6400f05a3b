package io.github.actclip.train;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Tensor;

/** A loss or threshold that is no longer a number, and where that began. */
final class Divergence {

  private Divergence() {}

  /**
   * Ends a training of which something is NaN or infinite.
   *
   * @param what names it
   * @param data some that causes it
   * @throws ActclipException a failure that names the step, the first parameter or layer that is
   *     not finite, and the last checkpoint
   */
  static void requireFinite(Training training, String what, double value, Tensor data) {
    if (Double.isFinite(value)) {
      return;
    }
    String checkpoint =
        training.lastCheckpoint().map(file -> "; the last good checkpoint is " + file).orElse("");
    throw ActclipException.failure(
        null,
        "the training diverged: the %s in step %d is %s, and the first that is not finite is %s; a"
            + " lower learning rate than %s may help%s",
        what,
        training.step(),
        value,
        first(training.network(), data),
        training.options().optimizer().learningRate(),
        checkpoint);
  }

  /** The first tensor, from the data to the output, that is not finite. */
  private static String first(Network network, Tensor data) {
    List<String> found = new ArrayList<>();
    BiConsumer<String, Tensor> look =
        (name, tensor) -> {
          if (!TensorNumbers.areFinite(tensor)) {
            found.add(name);
          }
        };
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      look.accept("the data", data);
      StateDict.of(network).forEach((name, tensor) -> look.accept("the parameter " + name, tensor));
      network.observe(data, (name, input) -> look.accept("the input of " + name, input));
      look.accept("the output of the network", network.forward(data));
    }
    return found.isEmpty() ? "the loss itself" : found.get(0);
  }
}
