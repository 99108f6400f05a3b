package io.github.actclip.train;

import io.github.actclip.nn.EvaluationMode;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.StringTensorDictItem;
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
        first(training, data),
        training.options().optimizer().learningRate(),
        checkpoint);
  }

  /**
   * The first tensor, from the data to the output, that is not finite. In evaluation mode, so that
   * nothing of the network changes.
   */
  private static String first(Training training, Tensor data) {
    Network network = training.network();
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
      lookAtParameters(network, look);
      Tensor output =
          EvaluationMode.of(
              network, () -> TrainingStep.inPrecision(training, () -> output(network, data, look)));
      look.accept("the output of the network", output);
    }
    return found.isEmpty() ? "the loss itself" : found.get(0);
  }

  /** Not at buffers, which may hold what is not finite, such as a mask. */
  private static void lookAtParameters(Network network, BiConsumer<String, Tensor> look) {
    try (StringTensorDict parameters = network.named_parameters()) {
      for (long i = 0; i < parameters.size(); i++) {
        StringTensorDictItem item = parameters.get(i);
        look.accept("the parameter " + item.key().getString(), item.value());
      }
    }
  }

  private static Tensor output(Network network, Tensor data, BiConsumer<String, Tensor> look) {
    network.observe(data, (name, input) -> look.accept("the input of " + name, input));
    return network.forward(data);
  }
}
