package io.github.actclip.data;

import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.Texts;
import org.bytedeco.pytorch.Tensor;

/**
 * Changes the data of a batch, such as {@link Augmentation} and {@link Normalization} do; see
 * {@link Dataset#transformed}. Called by several threads at once.
 *
 * <p>Best as a record, whose {@link #text} says all of it. A lambda has no text that tells it from
 * another one of its class: a training that goes on does not notice when it was changed.
 */
@FunctionalInterface
public interface Transform {

  /**
   * Changes a batch. In a scope that ends with the call and without gradients: nothing needs to be
   * closed.
   *
   * @param data on the CPU, (B, …); it may be changed in place
   * @param seeds one for each sample, for what is left to chance ({@code new
   *     java.util.Random(seeds[i])}), of the seed of the training, its epoch and the number of the
   *     sample; other ones for each transform of a data set
   * @return (B, …) on the CPU: {@code data} itself, or a new tensor
   */
  Tensor apply(Tensor data, long[] seeds);

  /**
   * What is done to data when this comes after something else, so that a network that was tested
   * behind it can be given other data in the same way. Unless it says otherwise, nobody else can do
   * what it does.
   */
  @Internal
  default Preprocessing after(Preprocessing before) {
    return before.with(text());
  }

  /**
   * By which a checkpoint tells it from another: what {@code toString} says, or else the name of
   * its class; the same in every JVM.
   */
  default String text() {
    return Texts.of(this);
  }
}
