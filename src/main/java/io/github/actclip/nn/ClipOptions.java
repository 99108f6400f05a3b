package io.github.actclip.nn;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * What a {@link Clip} is like. Each method changes one option and returns this object, as
 * LibTorch's own options do; a clip copies them when it is made.
 */
public final class ClipOptions {

  final ClipForm form;
  double initial = 1;
  double initialMin = 0;
  Double initialValue;
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

  /** The threshold at the start: {@code max}, or the untied clip's cut; 1 by default. */
  public ClipOptions initial(double value) {
    initial = value;
    return this;
  }

  /** The lower threshold {@code min} of the two-sided clip at the start; 0 by default. */
  public ClipOptions initialMin(double value) {
    initialMin = value;
    return this;
  }

  /** What the untied clip puts in the place of what is above its cut; the cut by default. */
  public ClipOptions initialValue(double value) {
    initialValue = value;
    return this;
  }

  /** The bias of the generalised ReLU at the start; 0 by default. */
  public ClipOptions bias(double value) {
    bias = value;
    return this;
  }

  /**
   * Frees the generalised ReLU's cut from −bias, where it is by default, and starts it at this
   * value; it is frozen there unless {@link #learnCut} is called, too.
   */
  public ClipOptions freeCut(double value) {
    cutFollowsBias = false;
    initialCut = value;
    return this;
  }

  /**
   * The sharpness of the soft clip; 10 by default.
   *
   * @throws ActclipException when it is not above 0, or no normal float32 number
   */
  public ClipOptions beta(double value) {
    ClipOp.requireDivisor("beta", value);
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
    FakeQuantizeOptions.requireChannels(count);
    channels = count;
    axis = dimension;
    return this;
  }

  /** How the parameter becomes the threshold; {@link Parameterization#RAW} by default. */
  public ClipOptions parameterization(Parameterization value) {
    parameterization = Objects.requireNonNull(value, "parameterization");
    return this;
  }

  /**
   * The least value of the upper threshold; none by default.
   *
   * @throws ActclipException when it is NaN
   */
  public ClipOptions floor(double value) {
    if (Double.isNaN(value)) {
      throw ActclipException.badInput("the floor (NaN) must be a number");
    }
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
   * @throws ActclipException when it is not above 0, or no normal float32 number
   */
  public ClipOptions learnCut(double bandwidth) {
    cutGradient = ThresholdGradient.kernelDensity(bandwidth);
    cutFollowsBias = false;
    return this;
  }

  /**
   * Refuses options that the form would not heed.
   *
   * @throws ActclipException naming the first
   */
  void requireSuitable() {
    ClipOptions standard = new ClipOptions(form);
    boolean hasMax = form != ClipForm.UNTIED && form != ClipForm.GENERALIZED_RELU;
    boolean hasCut = !hasMax;
    boolean hasRule = hasMax && form != ClipForm.SOFT && form != ClipForm.IN_PLACE;
    requireStandard(hasMax || form == ClipForm.UNTIED, "initial", initial, standard.initial);
    requireStandard(form == ClipForm.TWO_SIDED, "initialMin", initialMin, standard.initialMin);
    requireStandard(form == ClipForm.UNTIED, "initialValue", initialValue, null);
    requireStandard(form == ClipForm.GENERALIZED_RELU, "bias", bias, standard.bias);
    requireStandard(form == ClipForm.SOFT, "beta", beta, standard.beta);
    requireStandard(hasMax, "parameterization", parameterization, standard.parameterization);
    requireStandard(hasMax, "floor", floor, standard.floor);
    if (gradient != ThresholdGradient.SUM && gradient != ThresholdGradient.FROZEN) {
      require(hasRule || form == ClipForm.UNTIED, "gradient", "a rule other than SUM and FROZEN");
    }
    boolean learnsCut = cutGradient != standard.cutGradient;
    require(hasCut || !learnsCut, "learnCut", "a bandwidth");
    boolean isFreed = !cutFollowsBias && (!learnsCut || initialCut != standard.initialCut);
    require(form == ClipForm.GENERALIZED_RELU || !isFreed, "freeCut", initialCut);
  }

  private void requireStandard(boolean heeded, String option, Object given, Object standard) {
    require(heeded || Objects.equals(given, standard), option, given);
  }

  private void require(boolean suits, String option, Object given) {
    if (!suits) {
      throw ActclipException.badInput("%s (%s) is no option of the form %s", option, given, form);
    }
  }

  /** All that the clip computes by besides what it learns: see {@link Threshold#meaning}. */
  String meaning() {
    StringBuilder text = new StringBuilder("form=").append(form.computes());
    if (form == ClipForm.SOFT) {
      text.append(", beta=").append(beta);
    }
    if (floor > Double.NEGATIVE_INFINITY) {
      text.append(", floor=").append(floor);
    }
    return text.append(FakeQuantizeOptions.axis(channels, axis)).toString();
  }

  /** A copy that later changes do not reach. */
  ClipOptions copy() {
    ClipOptions copy = new ClipOptions(form);
    copy.initial = initial;
    copy.initialMin = initialMin;
    copy.initialValue = initialValue;
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
