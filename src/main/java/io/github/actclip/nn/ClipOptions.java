package io.github.actclip.nn;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * What a {@link Clip} is like. Immutable: each method returns other options, in which one is
 * changed; two of the same values are equal.
 */
public final class ClipOptions {

  private static final String LEFT_OUT = "left out";

  final ClipForm form;

  // Only "with" writes to these, before anybody else has the object.
  double initial = 1;
  double initialMin = 0;
  Double initialValue;
  double bias = 0;
  Double freeCut;
  double beta = 10;
  int channels = 1;
  int axis = 1;
  Parameterization parameterization = Parameterization.RAW;
  double floor = Double.NEGATIVE_INFINITY;
  ThresholdGradient gradient = ThresholdGradient.SUM;

  /** 0 where the cut does not learn. */
  double cutBandwidth = 0;

  /**
   * The defaults of a form: one threshold for all channels, of 1, learned by its exact gradient.
   */
  public ClipOptions(ClipForm form) {
    this.form = Objects.requireNonNull(form, "form");
  }

  /** The threshold at the start: {@code max}, or the untied clip's cut; 1 by default. */
  public ClipOptions initial(double value) {
    return with(changed -> changed.initial = value);
  }

  /** The lower threshold {@code min} of the two-sided clip at the start; 0 by default. */
  public ClipOptions initialMin(double value) {
    return with(changed -> changed.initialMin = value);
  }

  /** What the untied clip puts in the place of what is above its cut; the cut by default. */
  public ClipOptions initialValue(double value) {
    return with(changed -> changed.initialValue = value);
  }

  /** The bias of the generalised ReLU at the start; 0 by default. */
  public ClipOptions bias(double value) {
    return with(changed -> changed.bias = value);
  }

  /**
   * Frees the generalised ReLU's cut from −bias, where it is by default, and starts it at this
   * value; it is frozen there unless {@link #learnCut} is called, too.
   */
  public ClipOptions freeCut(double value) {
    return with(changed -> changed.freeCut = value);
  }

  /**
   * The sharpness of the soft clip; 10 by default.
   *
   * @throws ActclipException when it is not above 0, or no normal float32 number
   */
  public ClipOptions beta(double value) {
    ClipOp.requireDivisor("beta", value);
    return with(changed -> changed.beta = value);
  }

  /** The sharpness of the soft clip. */
  @Internal
  public double beta() {
    return beta;
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
    return with(changed -> changed.channels = count).with(changed -> changed.axis = dimension);
  }

  /** How the parameter becomes the threshold; {@link Parameterization#RAW} by default. */
  public ClipOptions parameterization(Parameterization value) {
    Objects.requireNonNull(value, "parameterization");
    return with(changed -> changed.parameterization = value);
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
    return with(changed -> changed.floor = value);
  }

  /** How thresholds learn; {@link ThresholdGradient#SUM} by default. */
  public ClipOptions gradient(ThresholdGradient rule) {
    return with(changed -> changed.gradient = Objects.requireNonNull(rule, "gradient"));
  }

  /**
   * Lets the cut of the untied clip learn (and that of the generalised ReLU, which is then free),
   * by {@link ThresholdGradient#kernelDensity}; by default the cut of the untied clip is frozen.
   *
   * @param bandwidth in the unit of the activations
   * @throws ActclipException when it is not above 0, or no normal float32 number
   */
  public ClipOptions learnCut(double bandwidth) {
    ClipOp.requireDivisor("the bandwidth", bandwidth);
    return with(changed -> changed.cutBandwidth = bandwidth);
  }

  /** How the cut learns. */
  ThresholdGradient cutGradient() {
    return cutBandwidth > 0
        ? ThresholdGradient.kernelDensity(cutBandwidth)
        : ThresholdGradient.FROZEN;
  }

  /**
   * Refuses options that the form would not heed.
   *
   * @throws ActclipException naming the first
   */
  void requireSuitable() {
    ClipOptions standard = new ClipOptions(form);
    boolean hasCut = form == ClipForm.UNTIED || form == ClipForm.GENERALIZED_RELU;
    boolean hasMax = form != ClipForm.NONE && !hasCut;
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
    require(hasCut || cutBandwidth == 0, "learnCut", "a bandwidth");
    requireStandard(form == ClipForm.GENERALIZED_RELU, "freeCut", freeCut, null);
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

  /**
   * Refuses all but one threshold above which values are limited, as it is, that learns by its
   * exact gradient or not at all.
   *
   * @param why no more is possible
   * @throws ActclipException naming the first option that asks for more
   */
  @Internal
  public void requirePlain(String why) {
    if (form != ClipForm.RELU && form != ClipForm.TIED) {
      throw ActclipException.badInput("form (%s) must be RELU or TIED %s", form, why);
    }
    boolean frozen = gradient == ThresholdGradient.FROZEN;
    ThresholdGradient rule = frozen ? ThresholdGradient.FROZEN : ThresholdGradient.SUM;
    requireSame(new ClipOptions(form).initial(initial).gradient(rule), why);
  }

  /**
   * Refuses options that differ from these.
   *
   * @param why they may not
   * @throws ActclipException naming the first
   */
  void requireSame(ClipOptions only, String why) {
    Map<String, Object> allowed = only.values();
    values().forEach((name, value) -> requireEqual(name, value, allowed.get(name), why));
  }

  static void requireEqual(String name, Object value, Object only, String why) {
    if (!value.equals(only)) {
      throw ActclipException.badInput("%s (%s) must be %s %s", name, value, only, why);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ClipOptions options && values().equals(options.values());
  }

  @Override
  public int hashCode() {
    return values().hashCode();
  }

  @Override
  public String toString() {
    return "ClipOptions" + values();
  }

  /** First those that files hold, by their names there. */
  private Map<String, Object> values() {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("form", form);
    values.put("rule", gradient);
    values.put("initial", initial);
    values.put("parameterization", parameterization);
    values.put("floor", floor);
    values.put("beta", beta);
    values.put("cutBandwidth", cutBandwidth);
    values.put("initialMin", initialMin);
    values.put("initialValue", initialValue == null ? LEFT_OUT : initialValue);
    values.put("bias", bias);
    values.put("freeCut", freeCut == null ? LEFT_OUT : freeCut);
    values.put("channels", channels);
    values.put("axis", axis);
    return values;
  }

  private ClipOptions with(Consumer<ClipOptions> change) {
    ClipOptions copy = new ClipOptions(form);
    copy.initial = initial;
    copy.initialMin = initialMin;
    copy.initialValue = initialValue;
    copy.bias = bias;
    copy.freeCut = freeCut;
    copy.beta = beta;
    copy.channels = channels;
    copy.axis = axis;
    copy.parameterization = parameterization;
    copy.floor = floor;
    copy.gradient = gradient;
    copy.cutBandwidth = cutBandwidth;
    change.accept(copy);
    return copy;
  }
}
