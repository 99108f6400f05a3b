package io.github.actclip.nn;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * What a {@link Clip} is like. Each method changes one option and returns this object, as
 * LibTorch's own options do; a clip copies them when it is made.
 */
public final class ClipOptions {

  private static final int MAX_CHANNELS = 1 << 20;

  final ClipForm form;
  double initial = 1;
  double initialMin = 0;
  double bias = 0;
  double initialCut = 0;
  boolean cutFollowsBias = true;
  double beta = 10;
  int channels = 1;
  int axis = 1;
  Parameterization parameterization = Parameterization.RAW;
  double floor = Double.NEGATIVE_INFINITY;
  ThresholdGradient gradient = ThresholdGradient.SUM;
  ThresholdGradient cutGradient = ThresholdGradient.FROZEN;

  /**
   * The defaults of a form: one threshold for all channels, of 1, learned by its exact gradient.
   */
  public ClipOptions(ClipForm form) {
    this.form = Objects.requireNonNull(form, "form");
  }

  /** The threshold at the start: {@code max}, or the untied clip's cut and value; 1 by default. */
  public ClipOptions initial(double value) {
    initial = value;
    return this;
  }

  /** The lower threshold {@code min} of the two-sided clip at the start; 0 by default. */
  public ClipOptions initialMin(double value) {
    initialMin = value;
    return this;
  }

  /** The bias of the generalised ReLU at the start; 0 by default. */
  public ClipOptions bias(double value) {
    bias = value;
    return this;
  }

  /** Frees the generalised ReLU's cut, which by default is −bias, and starts it at this value. */
  public ClipOptions freeCut(double value) {
    cutFollowsBias = false;
    initialCut = value;
    return this;
  }

  /**
   * The sharpness of the soft clip; 10 by default.
   *
   * @throws ActclipException when it is not above 0
   */
  public ClipOptions beta(double value) {
    if (!(value > 0 && value <= Float.MAX_VALUE)) {
      throw ActclipException.badInput("beta (%s) must be above 0 and fit into a float", value);
    }
    beta = value;
    return this;
  }

  /**
   * One threshold for each channel.
   *
   * @param count how many channels there are
   * @param dimension of the activations along which they lie; negative counts from the end
   * @throws ActclipException when {@code count} is not 1 to 1,048,576
   */
  public ClipOptions perChannel(int count, int dimension) {
    if (count < 1 || count > MAX_CHANNELS) {
      throw ActclipException.badInput("channels (%d) must be 1 to %d", count, MAX_CHANNELS);
    }
    channels = count;
    axis = dimension;
    return this;
  }

  /** How the parameter becomes the threshold; {@link Parameterization#RAW} by default. */
  public ClipOptions parameterization(Parameterization value) {
    parameterization = Objects.requireNonNull(value, "parameterization");
    return this;
  }

  /** The least value of the upper threshold; none by default. */
  public ClipOptions floor(double value) {
    floor = value;
    return this;
  }

  /** How thresholds learn; {@link ThresholdGradient#SUM} by default. */
  public ClipOptions gradient(ThresholdGradient rule) {
    gradient = Objects.requireNonNull(rule, "gradient");
    return this;
  }

  /**
   * Lets the cut of the untied clip learn (and that of the generalised ReLU, which is then free),
   * by {@link ThresholdGradient#kernelDensity}; by default the cut of the untied clip is frozen.
   *
   * @param bandwidth in the unit of the activations
   * @throws ActclipException when it is not above 0
   */
  public ClipOptions learnCut(double bandwidth) {
    cutGradient = ThresholdGradient.kernelDensity(bandwidth);
    cutFollowsBias = false;
    return this;
  }

  /** A copy that later changes do not reach. */
  ClipOptions copy() {
    ClipOptions copy = new ClipOptions(form);
    copy.initial = initial;
    copy.initialMin = initialMin;
    copy.bias = bias;
    copy.initialCut = initialCut;
    copy.cutFollowsBias = cutFollowsBias;
    copy.beta = beta;
    copy.channels = channels;
    copy.axis = axis;
    copy.parameterization = parameterization;
    copy.floor = floor;
    copy.gradient = gradient;
    copy.cutGradient = cutGradient;
    return copy;
  }
}
