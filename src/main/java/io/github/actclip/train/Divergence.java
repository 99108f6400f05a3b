package io.github.actclip.train;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** A loss or threshold that is no longer a number, and where that began. */
final class Divergence {

  private Divergence() {}

  /**
   * Ends a training of which something is NaN or infinite.
   *
   * @param what names it
   * @param images some that cause it
   * @throws ActclipException a failure that names the step, the first parameter or layer that is
   *     not finite, and the last checkpoint
   */
  static void requireFinite(Training training, String what, double value, Tensor images) {
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
        first(training.net(), images),
        training.options().optimizer().learningRate(),
        checkpoint);
  }

  /** The first tensor, from the images to the logits, that is not finite. */
  private static String first(Net net, Tensor images) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      tensors.put("an image", images);
      StateDict.of(net).forEach((name, tensor) -> tensors.put("the parameter " + name, tensor));
      net.outputs(images).forEach((name, tensor) -> tensors.put("the output of " + name, tensor));
      return tensors.entrySet().stream()
          .filter(entry -> !TensorNumbers.areFinite(entry.getValue()))
          .map(Map.Entry::getKey)
          .findFirst()
          .orElse("the loss itself");
    }
  }
}
