package io.github.actclip.autograd;

import io.github.actclip.op.NormOp;
import io.github.actclip.op.NormOp.Normed;
import io.github.actclip.op.ReluLimit;
import java.util.Arrays;
import java.util.Optional;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Batch normalisation, what is added to it, ReLU, and what limits behind that: of (x, weight, bias,
 * parameters…, addend), or without the last. Of what is limited it keeps a byte for each element.
 * Thread-safe.
 */
final class BatchNormLimitFunction extends CustomFunction {

  private static final int X = 0;
  private static final int WEIGHT = 1;
  private static final int BIAS = 2;
  private static final int PARAMETERS = 3;

  // In the place of the bias, which backward does not need.
  private static final int FATES = BIAS;

  private final NormOp norm;
  private final ReluLimit limit;

  /** Where the addend is among the inputs, and the statistics are among what is saved. */
  private final int last;

  private BatchNormLimitFunction(NormOp norm, ReluLimit limit, int parameters) {
    this.norm = norm;
    this.limit = limit;
    last = PARAMETERS + parameters;
  }

  /**
   * Does all in one pass where kernels do, the layer has all that it may have, and its mode suits:
   * training, or evaluation without gradients.
   *
   * @param layer open
   * @param x of which nothing was checked; addend and the parameters too
   * @return of the shape of x; empty, and nothing was changed, where it does not do that
   */
  static Optional<Tensor> apply(
      ReluLimit limit,
      BatchNorm2dImpl layer,
      Tensor x,
      Optional<Tensor> addend,
      Tensor... parameters) {
    boolean records = GradMode.is_enabled();
    boolean training = layer.is_training();
    boolean few = x.numel() < ClipFunctions.NATIVE_PAYS_FROM;
    if (records && (!training || few)) {
      return Optional.empty();
    }
    Optional<NormOp> suitable = op(layer).filter(norm -> norm.suits(x, addend, parameters));
    if (suitable.isEmpty()) {
      return Optional.empty();
    }
    NormOp norm = suitable.get();
    if (training) {
      layer.num_batches_tracked().add_(new Scalar(1));
    }
    if (!records) {
      return Optional.of(norm.forward(limit, false, x, addend, parameters).output());
    }
    BatchNormLimitFunction function = new BatchNormLimitFunction(norm, limit, parameters.length);
    return Optional.of(function.apply(function.inputs(x, addend, parameters)));
  }

  /** What a layer does, in the mode that it is in; empty for one that lacks some of it. */
  static Optional<NormOp> op(BatchNorm2dImpl layer) {
    if (!isPlain(layer)) {
      return Optional.empty();
    }
    BatchNormOptions options = layer.options();
    return Optional.of(
        new NormOp(
            layer.weight(),
            layer.bias(),
            layer.running_mean(),
            layer.running_var(),
            options.momentum().get(),
            options.eps().get(),
            layer.is_training()));
  }

  /** Whether its forward is LibTorch's, with weights and running means. */
  private static boolean isPlain(BatchNorm2dImpl layer) {
    BatchNormOptions options = layer.options();
    return layer.getClass() == BatchNorm2dImpl.class
        && options.affine().get()
        && options.track_running_stats().get()
        && options.momentum().has_value();
  }

  private Tensor[] inputs(Tensor x, Optional<Tensor> addend, Tensor... parameters) {
    Tensor[] inputs = new Tensor[last + (addend.isPresent() ? 1 : 0)];
    inputs[X] = x;
    inputs[WEIGHT] = norm.weight();
    inputs[BIAS] = norm.bias();
    System.arraycopy(parameters, 0, inputs, PARAMETERS, parameters.length);
    addend.ifPresent(added -> inputs[last] = added);
    return inputs;
  }

  @Override
  protected Tensor forward(FunctionContext context, Tensor... inputs) {
    boolean recorded = context.needsAnyGrad();
    Tensor[] parameters = Arrays.copyOfRange(inputs, PARAMETERS, last);
    Optional<Tensor> addend = inputs.length > last ? Optional.of(inputs[last]) : Optional.empty();
    Normed normed = norm.forward(limit, recorded, inputs[X], addend, parameters);
    if (recorded) {
      Tensor[] saved = new Tensor[last + 1];
      saved[X] = inputs[X];
      saved[WEIGHT] = inputs[WEIGHT];
      saved[FATES] = normed.fates();
      for (int i = 0; i < parameters.length; i++) {
        saved[PARAMETERS + i] = parameters[i].clone(); // An optimizer may step before backward.
      }
      saved[last] = normed.statistics();
      context.saveForBackward(saved);
    }
    return normed.output();
  }

  @Override
  protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
    Tensor[] parameters = new Tensor[last - PARAMETERS];
    Arrays.setAll(parameters, i -> context.saved(PARAMETERS + i));
    boolean adds = context.inputs() > last;
    Tensor[] exact =
        NormOp.backward(
            limit,
            gradOutput,
            context.saved(FATES),
            context.saved(last),
            context.saved(X),
            context.saved(WEIGHT),
            adds && context.needsInputGrad(last),
            parameters);
    Tensor[] gradients = new Tensor[context.inputs()];
    gradients[X] = exact[0];
    gradients[WEIGHT] = exact[2];
    gradients[BIAS] = exact[3];
    gradients[PARAMETERS] = exact[4];
    if (adds) {
      gradients[last] = exact[1];
    }
    return gradients;
  }
}
