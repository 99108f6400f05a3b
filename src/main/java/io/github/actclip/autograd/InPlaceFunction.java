package io.github.actclip.autograd;

import io.github.actclip.op.ReluLimit;
import java.util.Arrays;
import java.util.Optional;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * ReLU and what limits behind it, of x and its parameters, whose output takes the place of x. Of x
 * it keeps a byte for each element.
 */
final class InPlaceFunction extends CustomFunction {

  private static final int X = 0;
  private static final int FATES = 0;

  private final ReluLimit limit;

  private InPlaceFunction(ReluLimit limit) {
    this.limit = limit;
  }

  /**
   * Overwrites x where that may be done, and takes less time than other ways.
   *
   * @param x of which nothing was checked; parameters too
   * @return x, as another handle; empty, and nothing was changed, where it does not do that
   */
  static Optional<Tensor> apply(ReluLimit limit, Tensor x, Tensor... parameters) {
    if (!ReluLimit.suits(x, parameters)) {
      return Optional.empty();
    }
    if (!GradMode.is_enabled()) {
      limit.overwrite(x, false, parameters);
      return Optional.of(new Tensor(x));
    }
    if (x.numel() < ClipFunctions.NATIVE_PAYS_FROM) {
      return Optional.empty();
    }
    Tensor[] inputs = new Tensor[1 + parameters.length];
    inputs[X] = x;
    System.arraycopy(parameters, 0, inputs, 1, parameters.length);
    return Optional.of(new InPlaceFunction(limit).apply(inputs));
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    Tensor[] parameters = Arrays.copyOfRange(inputs, 1, inputs.length);
    context.saveClip(limit.overwrite(inputs[X], true, parameters), parameters);
    context.markDirty();
    return inputs[X];
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor[] parameters = new Tensor[context.inputs() - 1];
    Arrays.setAll(parameters, i -> context.saved(i + 1));
    Tensor[] gradients = limit.backward(gradOutput, context.saved(FATES), parameters);
    return Arrays.copyOf(gradients, context.inputs());
  }
}
