package io.github.actclip.autograd;

import io.github.actclip.op.Grid;
import io.github.actclip.op.QuantizeOp;
import io.github.actclip.op.ReluLimit;
import io.github.actclip.op.ScaleGradient;
import io.github.actclip.runtime.Internal;
import java.util.Objects;
import java.util.Optional;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Tensor;

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
@Internal
public final class FakeQuantizeFunction extends CustomFunction {

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
   * @throws io.github.actclip.runtime.ActclipException when one of them is not
   */
  public FakeQuantizeFunction(int low, int high, ScaleGradient scaleGradient) {
    Grid.requireCodes(low, high);
    this.low = low;
    this.high = high;
    this.scaleGradient = Objects.requireNonNull(scaleGradient, "scaleGradient");
  }

  /**
   * Applies the function to what {@code relu_} makes of x. Where the kernels take x, and the offset
   * has no gradient to come, it is one pass, and the output takes the place of x.
   *
   * @param x as {@code relu_} takes it; it is changed
   */
  public Tensor reluInPlace(Tensor x, Tensor scale, Tensor offset) {
    Optional<Tensor> overwritten =
        isReluLimit(offset)
            ? InPlaceFunction.apply(new ReluLimit(high), x, scale, offset)
            : Optional.empty();
    return overwritten.orElseGet(() -> apply(ReluLimit.rectified(x), scale, offset));
  }

  /**
   * {@link #reluInPlace} of what is normalised, in one pass, where kernels do that.
   *
   * @param norm open
   * @param addend is added to what is normalised
   * @return empty, and nothing was changed, where they do not
   */
  public Optional<Tensor> batchNormRelu(
      BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend, Tensor scale, Tensor offset) {
    return isReluLimit(offset)
        ? BatchNormLimitFunction.apply(new ReluLimit(high), norm, x, addend, scale, offset)
        : Optional.empty();
  }

  private boolean isReluLimit(Tensor offset) {
    return low == 0 && scaleGradient == ScaleGradient.CLIPPED && !offset.requires_grad();
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    context.saveForBackward(inputs);
    return QuantizeOp.fakeQuantize(inputs[X], grid(inputs[SCALE], inputs[OFFSET]));
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    return QuantizeOp.fakeQuantizeBackward(
        gradOutput,
        context.saved(X),
        grid(context.saved(SCALE), context.saved(OFFSET)),
        scaleGradient,
        context.needsInputGrad(X),
        context.needsInputGrad(SCALE),
        context.needsInputGrad(OFFSET));
  }

  private Grid grid(Tensor scale, Tensor offset) {
    return new Grid(scale, offset, low, high);
  }
}
