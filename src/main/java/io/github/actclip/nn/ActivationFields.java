package io.github.actclip.nn;

import io.github.actclip.autograd.ThresholdGradient;

/** {@link ActivationOptions} as files hold them, in this order and by these names. */
record ActivationFields(
    ClipForm form,
    ThresholdGradient rule,
    double initial,
    boolean perChannel,
    Parameterization parameterization,
    double floor,
    double beta,
    double cutBandwidth,
    QuantizationMethod quantization,
    int activationBits,
    int weightBits) {

  /** Reads what a file holds; no number is what it has for no floor. */
  ActivationFields {
    floor = Double.isNaN(floor) ? Double.NEGATIVE_INFINITY : floor;
  }

  static ActivationFields of(
      ClipOptions clip,
      boolean perChannel,
      QuantizationMethod quantization,
      int activationBits,
      int weightBits) {
    return new ActivationFields(
        clip.form,
        clip.gradient,
        clip.initial,
        perChannel,
        clip.parameterization,
        clip.floor,
        clip.beta,
        clip.cutBandwidth,
        quantization,
        activationBits,
        weightBits);
  }

  /** The options of a clip that a file can hold. */
  ClipOptions clip() {
    ClipOptions clip =
        new ClipOptions(form)
            .gradient(rule)
            .initial(initial)
            .parameterization(parameterization)
            .floor(floor)
            .beta(beta);
    return cutBandwidth == 0 ? clip : clip.learnCut(cutBandwidth);
  }
}
