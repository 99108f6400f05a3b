package io.github.actclip.nn;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * How a network limits its activations, as plain values that a file can hold. For anything else,
 * give it a {@link Clip} or a {@link FakeQuantize} of your own.
 *
 * @param form of the clip; with activation bits, {@link ClipForm#TIED} only
 * @param rule how thresholds learn, one of {@link ThresholdGradient#named}; with activation bits,
 *     the quantizer's own or FROZEN
 * @param initial the threshold at the start
 * @param perChannel whether each of the channels has a threshold of its own
 * @param parameterization how the parameter becomes the threshold, without activation bits
 * @param floor the least threshold, or negative infinity, without activation bits
 * @param beta the soft clip's sharpness
 * @param cutBandwidth of the kernel-density estimate by which the untied clip's cut (and the
 *     generalised ReLU's, which it frees) learns; 0 for a cut that does not learn
 * @param quantization how quantizers learn
 * @param activationBits 2 to 8, or 0 for a clip alone
 * @param weightBits 2 to 8, or 0 for float32 weights
 */
public record ActivationOptions(
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

  private static final double DEFAULT_BETA = 10;

  /**
   * Checks that the values go together; each layer checks its own.
   *
   * @throws ActclipException when they do not
   */
  public ActivationOptions {
    Objects.requireNonNull(form, "form");
    Objects.requireNonNull(rule, "rule");
    Objects.requireNonNull(parameterization, "parameterization");
    Objects.requireNonNull(quantization, "quantization");
    if (!ThresholdGradient.named().contains(rule)) {
      throw ActclipException.badInput(
          "rule (%s) must be one of %s: a file cannot hold another; give one to a Clip of yours",
          rule, ThresholdGradient.named());
    }
    requireBits("activationBits", activationBits);
    requireBits("weightBits", weightBits);
    if (activationBits == 0 && weightBits == 0) {
      requireOnly("quantization", quantization, QuantizationMethod.PACT, "without bits");
    }
    if (activationBits > 0) {
      String with = "with activation bits";
      requireOnly("form", form, ClipForm.TIED, with);
      requireOnly("parameterization", parameterization, Parameterization.RAW, with);
      requireOnly("floor", floor, Double.NEGATIVE_INFINITY, with);
      requireOnly("beta", beta, DEFAULT_BETA, with);
      requireOnly("cutBandwidth", cutBandwidth, 0.0, with);
      if (rule != ThresholdGradient.FROZEN) {
        requireOnly("rule", rule, ThresholdGradient.SUM, with);
      }
    }
    if (!(cutBandwidth >= 0 && cutBandwidth <= Float.MAX_VALUE)) {
      throw ActclipException.badInput("cutBandwidth (%s) must be at least 0", cutBandwidth);
    }
  }

  /** The original's: a tied clip after the ReLU, from 1, by its exact gradient. */
  public static ActivationOptions original() {
    return of(ClipForm.TIED, ThresholdGradient.SUM);
  }

  /** A clip from 1, one threshold for all channels. */
  public static ActivationOptions of(ClipForm form, ThresholdGradient rule) {
    return new ActivationOptions(
        form,
        rule,
        1,
        false,
        Parameterization.RAW,
        Double.NEGATIVE_INFINITY,
        DEFAULT_BETA,
        0,
        QuantizationMethod.PACT,
        0,
        0);
  }

  /** The same with quantizers; 0 bits are for none. */
  public ActivationOptions quantized(QuantizationMethod method, int activation, int weights) {
    return new ActivationOptions(
        form,
        rule,
        initial,
        perChannel,
        parameterization,
        floor,
        beta,
        cutBandwidth,
        method,
        activation,
        weights);
  }

  /** Makes the layer for activations with that many channels along dimension 1. */
  public ThresholdLayer layer(int channels) {
    return activationBits > 0 ? quantizer(channels) : clip(channels);
  }

  private ThresholdLayer quantizer(int channels) {
    int scales = perChannel ? channels : 1;
    FakeQuantize layer =
        new FakeQuantize(
            new FakeQuantizeOptions(quantization, activationBits, false, initial, scales, 1));
    if (rule == ThresholdGradient.FROZEN) {
      layer.freeze();
    }
    return layer;
  }

  private ThresholdLayer clip(int channels) {
    ClipOptions options =
        new ClipOptions(form)
            .initial(initial)
            .parameterization(parameterization)
            .floor(floor)
            .beta(beta)
            .gradient(rule);
    if (perChannel) {
      options = options.perChannel(channels, 1);
    }
    if (cutBandwidth > 0) {
      options = options.learnCut(cutBandwidth);
    }
    return new Clip(options);
  }

  private static void requireBits(String name, int bits) {
    if (bits != 0) {
      FakeQuantizeOptions.requireBits(name, bits);
    }
  }

  private static void requireOnly(String name, Object value, Object only, String when) {
    if (!value.equals(only)) {
      throw ActclipException.badInput("%s (%s) must be %s %s", name, value, only, when);
    }
  }
}
