package io.github.actclip.autograd;

import io.github.actclip.op.ClipStatistics;
import io.github.actclip.op.QuantizeOp;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Fake quantization, of (x, scale s, offset β): with v = (x − β)/s, y = clamp(round(v), low,
 * high)·s + β, of the shape and dtype of x.
 *
 * <p>Gradients, with the straight-through estimator for rounding:
 *
 * <ul>
 *   <li>dL/dx = g where low ≤ v ≤ high, else 0;
 *   <li>dL/ds = Σ g·d, where d is {@code high} above, {@code low} below, and between them round(v)
 *       − v (LSQ, arXiv 1902.08153, equation 3) or 0 (as PACT's α needs it, with s = α/high);
 *   <li>dL/dβ = Σ g where v is outside (LSQ+, arXiv 2004.09576).
 * </ul>
 *
 * <p>The last two may be scaled by 1/√(N·high), N being the number of elements that share a scale
 * in this call (LSQ, section 2.2).
 */
public final class FakeQuantizeFunction extends CustomFunction {

  /** How the scale gets its gradient. */
  public enum ScaleGradient {
    /** From the clipped elements alone. */
    CLIPPED,
    /**
     * From the clipped elements and from the rounding of the others. An element counts as clipped,
     * here alone, where round(v) is outside, so that v may be outside by a half (TQT, arXiv
     * 1903.08066, section 3.3).
     */
    ROUNDED,
    /** From the clipped and from the rounding of the others, scaled by 1/√(N·high). */
    ROUNDED_AND_SCALED
  }

  private static final int X = 0;
  private static final int SCALE = 1;
  private static final int OFFSET = 2;

  private final int low;
  private final int high;
  private final ScaleGradient scaleGradient;

  /**
   * A function for codes from {@code low} to {@code high}.
   *
   * @param low at most 0
   * @param high above 0
   * @throws ActclipException when one of them is not
   */
  public FakeQuantizeFunction(int low, int high, ScaleGradient scaleGradient) {
    if (low > 0 || high < 1) {
      throw ActclipException.badInput(
          "codes from %d to %d: low must be at most 0, and high above 0", low, high);
    }
    this.low = low;
    this.high = high;
    this.scaleGradient = Objects.requireNonNull(scaleGradient, "scaleGradient");
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveForBackward(inputs);
    Tensor position = QuantizeOp.position(inputs[X], inputs[SCALE], inputs[OFFSET]);
    Tensor codes = QuantizeOp.codes(position, low, high);
    return QuantizeOp.dequantize(codes, inputs[SCALE], inputs[OFFSET]).to(inputs[X].scalar_type());
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor scale = context.saved(SCALE);
    Tensor offset = context.saved(OFFSET);
    Tensor v = QuantizeOp.position(context.saved(X), scale, offset);
    Tensor outside = outside(v);
    Tensor[] gradients = new Tensor[3];
    if (context.needsInputGrad(X)) {
      gradients[X] = torch.where(outside, new Scalar(0), gradOutput);
    }
    if (context.needsInputGrad(SCALE)) {
      gradients[SCALE] = sum(slope(v, outside).mul(gradOutput), scale);
    }
    if (context.needsInputGrad(OFFSET)) {
      gradients[OFFSET] = sum(torch.where(outside, gradOutput, new Scalar(0)), offset);
    }
    return gradients;
  }

  private Tensor outside(Tensor v) {
    Tensor place = scaleGradient == ScaleGradient.ROUNDED ? v.round() : v;
    return place.lt(new Scalar(low)).logical_or(place.gt(new Scalar(high)));
  }

  /** d: what one unit of the scale moves the output by. */
  private Tensor slope(Tensor v, Tensor outside) {
    Tensor codes = QuantizeOp.codes(v, low, high);
    return scaleGradient == ScaleGradient.CLIPPED
        ? torch.where(outside, codes, new Scalar(0))
        : torch.where(outside, codes, codes.sub(v));
  }

  private Tensor sum(Tensor values, Tensor parameter) {
    Tensor sum = ClipStatistics.sumLike(values, parameter);
    if (scaleGradient != ScaleGradient.ROUNDED_AND_SCALED) {
      return sum;
    }
    double shared = Math.max(1, values.numel() / Math.max(1, parameter.numel()));
    return sum.div(new Scalar(Math.sqrt(shared * high)));
  }
}
