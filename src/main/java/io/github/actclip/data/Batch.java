package io.github.actclip.data;

import org.bytedeco.pytorch.Tensor;

/**
 * Images and their labels, on the device of the {@link DataLoader} that made them.
 *
 * <p>Both tensors belong to the loader's iterator, which closes them when it is asked for the next
 * batch: nobody else has to. An open {@link io.github.actclip.runtime.TensorScope} does not own
 * them. To keep one for longer, keep a {@code clone()} of it.
 *
 * @param images float32 of shape (B, 3, 32, 32) in channels-last memory format; a pixel's 0 to 255
 *     are 0 to 1, unless the loader normalises
 * @param labels int64 of shape (B)
 */
public record Batch(Tensor images, Tensor labels) {

  void close() {
    images.close();
    labels.close();
  }
}
