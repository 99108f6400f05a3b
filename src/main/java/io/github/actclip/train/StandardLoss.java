package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** LibTorch's losses, after a look at what they are given. */
enum StandardLoss implements Loss {
  CROSS_ENTROPY("cross-entropy, nats") {
    @Override
    public Tensor of(Tensor output, Tensor target) {
      requireClasses(output, target);
      return torch.cross_entropy_loss(output, target);
    }
  },
  MEAN_SQUARED_ERROR("mean squared error") {
    @Override
    public Tensor of(Tensor output, Tensor target) {
      requireSameShape(output, target);
      return torch.mse_loss(output, target);
    }
  },
  BINARY_CROSS_ENTROPY("binary cross-entropy, nats") {
    @Override
    public Tensor of(Tensor output, Tensor target) {
      requireSameShape(output, target);
      return torch.binary_cross_entropy_with_logits(output, target);
    }
  };

  private final String text;

  StandardLoss(String text) {
    this.text = text;
  }

  @Override
  public String toString() {
    return text;
  }

  /** LibTorch broadcasts (B, 1) and (B) to (B, B), and computes something else without a word. */
  static void requireSameShape(Tensor output, Tensor target) {
    if (!Arrays.equals(output.shape(), target.shape())) {
      throw ActclipException.badInput(
          "the network's output has the shape %s and the target %s: they must be the same",
          Arrays.toString(output.shape()), Arrays.toString(target.shape()));
    }
    if (target.scalar_type().intern() != output.scalar_type().intern()) {
      throw ActclipException.badInput(
          "the network's output is %s and the target %s: they must be the same floating point",
          output.scalar_type().intern(), target.scalar_type().intern());
    }
  }

  /** Whether each sample, or each of its places, has one class: the output's shape, without one. */
  static void requireClasses(Tensor output, Tensor target) {
    long[] logits = output.shape();
    boolean fits = target.dim() > 0 && logits.length == target.dim() + 1;
    for (int i = 0; fits && i < target.dim(); i++) {
      fits = target.size(i) == logits[i == 0 ? 0 : i + 1];
    }
    if (!fits) {
      throw ActclipException.badInput(
          "the network's output has the shape %s and the target %s: they must be (B, classes, …)"
              + " and (B, …)",
          Arrays.toString(logits), Arrays.toString(target.shape()));
    }
    if (target.scalar_type().intern() != ScalarType.Long) {
      throw ActclipException.badInput(
          "the target is %s: classes are int64", target.scalar_type().intern());
    }
    // On a GPU a class that is none ends the whole process's use of the device, and looking waits.
    if (target.is_cpu() && target.numel() > 0) {
      long most = target.max().item_long();
      long least = target.min().item_long();
      if (least < 0 || most >= logits[1]) {
        throw ActclipException.badInput(
            "the target %d is no class: the network has %d outputs, for 0 to %d",
            least < 0 ? least : most, logits[1], logits[1] - 1);
      }
    }
  }
}
