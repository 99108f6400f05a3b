package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Internal;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Uniform quantization: codes q = clamp(round((x − β)/s), low, high), and the numbers q·s + β that
 * they stand for. Ties round to the even code.
 *
 * <p>{@code x} is of any shape and strides, float64, float32, bfloat16 or float16; the scale s and
 * the offset β are of one element or of a shape that broadcasts to x's. bfloat16 and float16 are
 * computed in float32. The caller's scope owns what is returned. Thread-safe.
 */
@Internal
public final class QuantizeOp {

  private QuantizeOp() {}

  /**
   * The position of x among the codes, before rounding: (x − β)/s.
   *
   * @return of x's shape, float32 at least
   * @throws ActclipException as {@link ClipOp} does
   */
  public static Tensor position(Tensor x, Tensor scale, Tensor offset) {
    Tensor wide = ClipArguments.atLeastFloat32(x);
    return wide.sub(ClipArguments.threshold(wide, offset))
        .div(ClipArguments.threshold(wide, scale));
  }

  /**
   * The codes of positions: clamp(round(v), low, high); NaN stays NaN.
   *
   * @param position floating point
   * @return of the shape and dtype of {@code position}
   * @throws ActclipException when it is not
   */
  public static Tensor codes(Tensor position, int low, int high) {
    ClipArguments.requireFloating("the positions", position);
    return position.round().clamp_min(new Scalar(low)).clamp_max(new Scalar(high));
  }

  /**
   * The numbers q·s + β.
   *
   * @param codes integers, or floating point as {@link #codes} gives them
   * @return of the codes' shape, float32 at least
   * @throws ActclipException when there are none, or they are complex; else as {@link ClipOp} does
   */
  public static Tensor dequantize(Tensor codes, Tensor scale, Tensor offset) {
    Arguments.requireStrided("the codes", codes, "a quantizer");
    if (codes.is_complex()) {
      throw ActclipException.badInput("the codes: the dtype is complex, and must be real");
    }
    Tensor wide = codes.is_floating_point() ? codes : codes.to(ScalarType.Float);
    return wide.mul(ClipArguments.threshold(wide, scale))
        .add(ClipArguments.threshold(wide, offset));
  }

  /**
   * Fake quantization: the number q·s + β of the code q of x. LibTorch differentiates it where it
   * records it, but for the rounding, whose gradient is 0; {@code FakeQuantizeFunction} passes one.
   *
   * @return of the shape and dtype of x
   * @throws ActclipException as {@link ClipOp} does
   */
  public static Tensor fakeQuantize(Tensor x, Grid grid) {
    return Backends.forward(() -> grid.require(x), x, grid.scale(), grid.offset())
        .fakeQuantize(x, grid);
  }

  /**
   * The gradients that {@code FakeQuantizeFunction} describes; not recorded themselves.
   *
   * @param g the gradient of the loss by the output, of the shape and dtype of x
   * @param wanted which of the three are
   * @return the gradients by x, of its dtype, and by the scale and the offset, of their shapes and
   *     dtypes; those that are not wanted are anything
   */
  public static Tensor[] fakeQuantizeBackward(
      Tensor g, Tensor x, Grid grid, ScaleGradient rule, boolean... wanted) {
    ClipBackend backend = Backends.of(() -> grid.require(x), x, grid.scale(), grid.offset());
    return backend.fakeQuantizeBackward(backend.gradient(g, x), x, grid, rule, wanted);
  }
}
