package io.github.actclip.nn;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.autograd.ConvMaxPoolClipFunction;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import java.util.Optional;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A clip with learned thresholds, as a layer. Its parameters, (1) or (channels) float32:
 *
 * <pre>
 * NONE                         none
 * TIED, RELU, SOFT, IN_PLACE   max
 * TWO_SIDED                    max, min
 * UNTIED                       cut, value
 * GENERALIZED_RELU             bias, and cut where it is free
 * </pre>
 *
 * <p>{@code max} is called {@code raw_max} where a {@link Parameterization} makes the threshold of
 * it. Formulas and gradients are those of {@link ClipOp}.
 *
 * <p>By the native backend, a clip of 20,000 elements or more has no second derivative ({@code
 * create_graph}); those of {@link ClipOp} always have one.
 */
public final class Clip extends ThresholdLayer {

  /** MSE and KL ask for a quantizer's bits; a clip has none, and 8 are the usual ones. */
  private static final int CALIBRATION_BITS = 8;

  /** The dimensions of (B, C, H, W). */
  private static final int IMAGES = 4;

  private final ClipOptions options;
  private final ThresholdGradient cutGradient;
  private final Threshold first;
  private final Threshold second;

  /**
   * A clip on the CPU.
   *
   * @throws ActclipException when an initial value or another option does not suit the form
   */
  public Clip(ClipOptions options) {
    super("Clip", options.channels, options.axis);
    options.requireSuitable();
    this.options = options;
    cutGradient = options.cutGradient();
    switch (options.form) {
      case NONE -> {
        first = null;
        second = null;
      }
      case TWO_SIDED -> {
        requireOrder();
        first = max("max");
        second = free("min", options.initialMin, options.gradient);
      }
      case UNTIED -> {
        first = free("cut", options.initial, cutGradient);
        double value = options.initialValue == null ? options.initial : options.initialValue;
        second = free("value", value, options.gradient);
      }
      case GENERALIZED_RELU -> {
        first = free("bias", options.bias, options.gradient);
        boolean follows = options.freeCut == null && options.cutBandwidth == 0;
        double cut = options.freeCut == null ? 0 : options.freeCut;
        second = follows ? null : free("cut", cut, cutGradient);
      }
      default -> {
        first = max("max");
        second = null;
      }
    }
  }

  /**
   * The shortest way to clip: {@code clip(relu(x), threshold)}, see {@link ClipOp#relu}.
   *
   * <p>By the native backend it has no second derivative from 20,000 elements on ({@code
   * create_graph}); {@link ClipOp#relu} always has one.
   *
   * @return of the shape and dtype of x; the caller's scope owns it
   */
  public static Tensor relu(Tensor x, Tensor threshold) {
    return ClipFunctions.relu(x, threshold, ThresholdGradient.SUM);
  }

  /** What it clips by. */
  public ClipForm form() {
    return options.form;
  }

  /** What it was made with. */
  public ClipOptions options() {
    return options;
  }

  @Override
  public void calibrate(Tensor x, Calibration calibration) {
    if (options.form == ClipForm.GENERALIZED_RELU) {
      throw ActclipException.badInput("the generalised ReLU has no upper threshold to calibrate");
    }
    if (options.form == ClipForm.NONE) {
      throw ActclipException.badInput("the form NONE has no threshold to calibrate");
    }
    double[] tops = tops(x, calibration, CALIBRATION_BITS, false);
    if (options.form == ClipForm.TWO_SIDED) {
      requireAboveMin(tops);
    }
    first.setOrFloor(tops);
    if (options.form == ClipForm.UNTIED && options.initialValue == null) {
      second.setOrFloor(tops);
    }
  }

  @Override
  Tensor limit(Tensor x) {
    ThresholdGradient rule = options.gradient;
    return switch (options.form) {
      case NONE -> new Tensor(x); // a handle of its own, as the others give
      case TIED -> ClipFunctions.clip(x, value(first, x), rule);
      case RELU -> ClipFunctions.relu(x, value(first, x), rule);
      case TWO_SIDED -> ClipFunctions.clip(x, value(second, x), value(first, x), rule);
      case UNTIED -> ClipFunctions.untied(x, value(first, x), value(second, x), cutGradient, rule);
      case SOFT -> ClipOp.soft(x, value(first, x), options.beta);
      case GENERALIZED_RELU -> {
        Tensor bias = value(first, x);
        yield ClipFunctions.generalizedRelu(x, bias, cut(bias, x), cutGradient);
      }
      case IN_PLACE -> ClipOp.clipInPlace(x, value(first, x));
    };
  }

  @Override
  <V> V describe(LayerGraph<V> graph, V x) {
    return graph.clip(this, x);
  }

  private Tensor value(Threshold threshold, Tensor x) {
    return broadcast(threshold.value(), x);
  }

  @Override
  Tensor limitRectified(Tensor x) {
    return clipsExactlyFromAbove()
        ? ClipFunctions.reluInPlace(x, value(first, x))
        : super.limitRectified(x);
  }

  @Override
  Optional<Tensor> limitNormalized(BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    if (options.form == ClipForm.NONE) {
      return x.is_floating_point()
          ? ClipFunctions.batchNormRelu(norm, x, addend)
          : Optional.empty();
    }
    return clipsExactlyFromAbove()
        ? ClipFunctions.batchNormRelu(norm, x, addend, value(first, x))
        : Optional.empty();
  }

  @Override
  Optional<Tensor> limitConvNormalized(
      Conv2dImpl conv, BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    if (options.form == ClipForm.NONE) {
      return ClipFunctions.convBatchNormRelu(conv, norm, x, addend);
    }
    return clipsExactlyFromAbove() && limitsChannelsOfImages()
        ? ClipFunctions.convBatchNormRelu(
            conv, norm, x, addend, () -> broadcastToImages(first.value()))
        : Optional.empty();
  }

  @Override
  boolean rectifies() {
    return options.form.rectifies();
  }

  @Override
  Tensor convMaxPool(Conv2dImpl conv, Tensor x) {
    if (options.form == ClipForm.NONE) {
      return ConvMaxPoolClipFunction.convMaxPoolRelu(conv, x);
    }
    if (isShowing() || !clipsImagesFromAbove(conv, x)) {
      return super.convMaxPool(conv, x);
    }
    Tensor t = first.value();
    Tensor ofImages = channels() == 1 ? t : t.view(channels(), 1, 1);
    Tensor y = ConvMaxPoolClipFunction.convMaxPoolClip(conv, x, ofImages);
    observeLimited(y);
    return y;
  }

  /** Whether it does no more to pooled images, and its gradient is the exact one, if any. */
  private boolean clipsImagesFromAbove(Conv2dImpl conv, Tensor x) {
    return clipsExactlyFromAbove() && x.dim() == IMAGES && (channels() == 1 || isOfChannels(conv));
  }

  /** Whether it clips what was rectified, and its gradient is the exact one, if any. */
  private boolean clipsExactlyFromAbove() {
    boolean oneSided = options.form == ClipForm.TIED || options.form == ClipForm.RELU;
    return oneSided && (options.gradient == ThresholdGradient.SUM || !GradMode.is_enabled());
  }

  private boolean isOfChannels(Conv2dImpl conv) {
    return (options.axis == 1 || options.axis == 1 - IMAGES) && conv.weight().size(0) == channels();
  }

  @Override
  Tensor limitAbove() {
    return switch (options.form) {
      case NONE -> torch.full(new long[] {1}, new Scalar(Double.POSITIVE_INFINITY));
      case GENERALIZED_RELU -> cut(first.value(), null);
      default -> first.value();
    };
  }

  /** The generalised ReLU's cut; where it follows the bias, no gradient flows through it. */
  private Tensor cut(Tensor bias, Tensor x) {
    if (second == null) {
      return bias.detach().neg();
    }
    return x == null ? second.value() : value(second, x);
  }

  private Threshold max(String name) {
    ThresholdKind kind =
        ThresholdKind.max(options.parameterization, options.floor, options.meaning());
    Threshold max = new Threshold(this, name, options.initial, channels(), kind);
    return learn(max, options.gradient);
  }

  /** A threshold that may be any number. */
  private Threshold free(String name, double initial, ThresholdGradient rule) {
    ThresholdKind kind = ThresholdKind.free(options.meaning());
    Threshold free = new Threshold(this, name, initial, channels(), kind);
    return learn(free, rule);
  }

  private Threshold learn(Threshold threshold, ThresholdGradient rule) {
    if (rule == ThresholdGradient.FROZEN) {
      threshold.freeze();
    }
    return register(threshold);
  }

  private void requireAboveMin(double[] tops) {
    double min = second.largest();
    for (double top : tops) {
      if (top < min) {
        throw ActclipException.badInput(
            "the upper threshold for these activations (%s) would be below the lower one (%s)",
            top, min);
      }
    }
  }

  private void requireOrder() {
    if (!(options.initialMin <= options.initial)) {
      throw ActclipException.badInput(
          "the lower threshold (%s) must not be above the upper one (%s)",
          options.initialMin, options.initial);
    }
  }
}
