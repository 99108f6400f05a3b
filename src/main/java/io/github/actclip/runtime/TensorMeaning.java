package io.github.actclip.runtime;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * What the numbers of a tensor mean, in one line: two tensors of the same name whose meanings
 * differ cannot take each other's values. It is kept as {@link TensorNotes} are.
 *
 * <p>Thread-safe.
 */
@Internal
public final class TensorMeaning {

  private static final TensorNotes<String> TEXTS = new TensorNotes<>();

  private TensorMeaning() {}

  /**
   * Says what a tensor means.
   *
   * @param handle with which it is forgotten: when that is closed, or collected as garbage
   * @throws ActclipException bad input when there is no tensor
   */
  public static void set(Tensor handle, String text) {
    TEXTS.set(handle, text);
  }

  /**
   * What a tensor means, if somebody said so.
   *
   * @throws ActclipException bad input when there is no tensor
   */
  public static Optional<String> of(Tensor tensor) {
    return TEXTS.of(tensor);
  }
}
