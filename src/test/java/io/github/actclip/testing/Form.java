package io.github.actclip.testing;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.op.ClipOp;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

/** Every form of the clip, differentiated by LibTorch and by the library's own functions. */
public enum Form {
  TIED(1, in -> ClipOp.clip(in[0], in[1]), in -> ClipFunctions.clip(in[0], in[1], Own.SUM)),
  RELU(1, in -> ClipOp.relu(in[0], in[1]), in -> ClipFunctions.relu(in[0], in[1], Own.SUM)),
  TWO_SIDED(
      2,
      in -> ClipOp.clip(in[0], in[1], in[2]),
      in -> ClipFunctions.clip(in[0], in[1], in[2], Own.SUM)),
  UNTIED(
      2,
      in -> ClipOp.untied(in[0], in[1], in[2]),
      in ->
          ClipFunctions.untied(
              in[0], in[1], in[2], ThresholdGradient.FROZEN, ThresholdGradient.SUM)),
  SOFT(
      1,
      in -> ClipOp.soft(in[0], in[1], Own.SHARPNESS),
      in -> ClipOp.soft(in[0], in[1], Own.SHARPNESS)),
  GENERALIZED_RELU(
      2,
      in -> ClipOp.generalizedRelu(in[0], in[1], in[2]),
      in -> ClipFunctions.generalizedRelu(in[0], in[1], in[2], ThresholdGradient.FROZEN));

  /** Who differentiates it. */
  public enum Way {
    COMPOSED,
    CUSTOM
  }

  private final int thresholds;
  private final Function<Tensor[], Tensor> composed;
  private final Function<Tensor[], Tensor> custom;

  Form(int thresholds, Function<Tensor[], Tensor> composed, Function<Tensor[], Tensor> custom) {
    this.thresholds = thresholds;
    this.composed = composed;
    this.custom = custom;
  }

  /** How many thresholds it takes. */
  public int thresholds() {
    return thresholds;
  }

  /** The form of ClipOp, of x and the thresholds. */
  public Tensor composed(Tensor... inputs) {
    return composed.apply(inputs);
  }

  /** The form of ClipFunctions with the exact rule; the soft clip has none, and is ClipOp's. */
  public Tensor custom(Tensor... inputs) {
    return custom.apply(inputs);
  }

  /** The form in that way, of x and the thresholds. */
  public Tensor apply(Way way, Tensor... inputs) {
    return way == Way.COMPOSED ? composed(inputs) : custom(inputs);
  }

  private static final class Own {

    static final double SHARPNESS = 4;

    /** Not the constant SUM, which ClipFunctions would leave to LibTorch. */
    static final ThresholdGradient SUM = s -> s.clippedSum();
  }
}
