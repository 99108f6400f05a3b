package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;

/**
 * Samples and what they are to become, such as images and their classes.
 *
 * <p>Those of a {@link DataLoader} belong to its iterator, which closes them when it is asked for
 * the next batch: nobody else has to, and an open {@link io.github.actclip.runtime.TensorScope}
 * does not own them. To keep a tensor for longer, keep a {@code clone()} of it. Those of {@link
 * Dataset#batch} belong to the caller.
 *
 * @param data of shape (B, …): what a network is given; an image data set's are float32 (B, 3, H,
 *     W) in channels-last memory format
 * @param target of shape (B, …): what a loss compares with; of classes, int64 (B)
 */
public record Batch(Tensor data, Tensor target) {

  /**
   * Throws unless this is what a data set has to give: two tensors on the CPU, of so many samples.
   *
   * @param source what the data set is called
   */
  static Batch require(String source, Batch batch, int samples) {
    if (batch == null) {
      throw ActclipException.badInput("%s gave null for a batch of %d samples", source, samples);
    }
    requirePart(source, "data", batch.data, samples);
    requirePart(source, "target", batch.target, samples);
    return batch;
  }

  static void requirePart(String source, String part, Tensor tensor, int samples) {
    Arguments.requireData("the " + part + " of a batch of " + source, tensor, "a batch");
    long[] shape = tensor.shape();
    if (shape.length == 0 || shape[0] != samples) {
      throw ActclipException.badInput(
          "%s gave %s of shape %s for %d samples: its first dimension has to be theirs",
          source, part, Arrays.toString(shape), samples);
    }
    if (!tensor.is_cpu()) {
      throw ActclipException.badInput(
          "%s gave %s on %s: a data set gives it on the CPU, a loader moves it",
          source, part, tensor.device().str().getString());
    }
  }

  void close() {
    data.close();
    target.close();
  }
}
