package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import org.bytedeco.pytorch.Tensor;

/**
 * The numbers that a quantizer can give: q·s + β for the codes q from {@code low} to {@code high}.
 * The tensors stay the caller's.
 *
 * @param scale s, of one element or of a shape that broadcasts to the activations'
 * @param offset β, likewise
 * @param low the smallest code, at most 0
 * @param high the largest code, above 0
 */
@Internal
public record Grid(Tensor scale, Tensor offset, int low, int high) {

  /**
   * Of codes that suit.
   *
   * @throws ActclipException as {@link #requireCodes} does
   */
  public Grid {
    requireCodes(low, high);
  }

  /**
   * Checks the codes of a grid.
   *
   * @throws ActclipException when {@code low} is above 0, or {@code high} below 1
   */
  public static void requireCodes(int low, int high) {
    if (low > 0 || high < 1) {
      throw ActclipException.badInput(
          "codes from %d to %d: low must be at most 0, and high above 0", low, high);
    }
  }

  /** Checks x, the scale and the offset. */
  void require(Tensor x) {
    ClipArguments.require(x, offset);
    ClipArguments.require(x, scale);
  }
}
