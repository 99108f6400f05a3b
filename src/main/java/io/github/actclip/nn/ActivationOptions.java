package io.github.actclip.nn;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * How a network limits its activations, and whether it quantizes its weights, for all of its layers
 * and as values that a file can hold: {@code ActivationOptions.clip(new
 * ClipOptions(ClipForm.RELU).initial(6)).perChannel(true)}. For anything else, give it a {@link
 * Clip} or a {@link FakeQuantize} of your own. Immutable.
 *
 * @param clip what each clip is like; where activations are quantized, of a tied one, from whose
 *     threshold quantizers start, and which they freeze if it is {@link ThresholdGradient#FROZEN}
 * @param perChannel whether each of a layer's channels has a threshold of its own
 * @param quantization how quantizers learn
 * @param activationBits 2 to 8, or 0 for a clip alone
 * @param weightBits 2 to 8, or 0 for float32 weights
 */
public record ActivationOptions(
    ClipOptions clip,
    boolean perChannel,
    QuantizationMethod quantization,
    int activationBits,
    int weightBits) {

  /**
   * Checks that the values go together, and that a file can hold them; each layer checks its own.
   *
   * @throws ActclipException bad input, when they do not, or a file cannot
   */
  public ActivationOptions {
    Objects.requireNonNull(clip, "clip");
    Objects.requireNonNull(quantization, "quantization");
    if (!ThresholdGradient.named().contains(clip.gradient)) {
      throw ActclipException.badInput(
          "rule (%s) must be one of %s: a file cannot hold another; give one to a Clip of yours",
          clip.gradient, ThresholdGradient.named());
    }
    if (clip.channels > 1) {
      throw ActclipException.badInput(
          "the clip's options are for %d channels, and layers have different numbers of them: leave"
              + " that out, and say perChannel(true) of the activation options",
          clip.channels);
    }
    requireBits("activationBits", activationBits);
    requireBits("weightBits", weightBits);
    if (activationBits == 0 && weightBits == 0) {
      ClipOptions.requireEqual(
          "quantization", quantization, QuantizationMethod.PACT, "without bits");
    }
    if (activationBits > 0) {
      requireQuantizable(clip);
    }
    ActivationFields held =
        ActivationFields.of(clip, perChannel, quantization, activationBits, weightBits);
    clip.requireSame(held.clip(), "in options that a file holds: give another to a Clip of yours");
  }

  /** The original's: a tied clip after the ReLU, from 1, by its exact gradient. */
  public static ActivationOptions original() {
    return clip(new ClipOptions(ClipForm.TIED));
  }

  /** Plain ReLU: nothing is clipped, and there are no thresholds; weights are float32. */
  public static ActivationOptions relu() {
    return clip(new ClipOptions(ClipForm.NONE));
  }

  /**
   * Clips, with one threshold for all channels of a layer; weights are float32.
   *
   * @throws ActclipException bad input, when a file cannot hold the options: it has fields for the
   *     form, {@code initial}, {@code parameterization}, {@code floor}, {@code gradient} (one of
   *     {@link ThresholdGradient#named}), {@code beta} and {@code learnCut}
   */
  public static ActivationOptions clip(ClipOptions clip) {
    return new ActivationOptions(clip, false, QuantizationMethod.PACT, 0, 0);
  }

  /** The same with a threshold for each channel, however many a layer has, or for all. */
  public ActivationOptions perChannel(boolean each) {
    return new ActivationOptions(clip, each, quantization, activationBits, weightBits);
  }

  /**
   * The same with quantizers.
   *
   * @param activation 2 to 8 bits for activations, or 0 for a clip alone
   * @param weights 2 to 8 bits for weights, or 0 for float32
   * @throws ActclipException bad input, when bits are others, or activations are to be quantized
   *     and the clip is another than a quantizer can be
   */
  public ActivationOptions quantized(QuantizationMethod method, int activation, int weights) {
    return new ActivationOptions(clip, perChannel, method, activation, weights);
  }

  /**
   * Makes the layer for activations with that many channels along dimension 1; the caller owns it.
   *
   * @throws ActclipException bad input, when an option of the clip does not suit its form
   */
  public ThresholdLayer layer(int channels) {
    if (activationBits == 0) {
      return new Clip(perChannel ? clip.perChannel(channels, 1) : clip);
    }
    int scales = perChannel ? channels : 1;
    FakeQuantize layer =
        new FakeQuantize(
            new FakeQuantizeOptions(quantization, activationBits, false, clip.initial, scales, 1));
    if (clip.gradient == ThresholdGradient.FROZEN) {
      layer.freeze();
    }
    return layer;
  }

  /** Whether weights are quantized. */
  public boolean quantizesWeights() {
    return weightBits > 0;
  }

  /**
   * What the quantizer of a weight (C, …) is like, for {@link QuantizedConv2d} for example.
   *
   * @param channels C
   * @throws ActclipException bad input, when weights are not quantized
   */
  public FakeQuantizeOptions weights(int channels) {
    return FakeQuantizeOptions.weights(quantization, weightBits, channels);
  }

  /** All values; checkpoints know a network by this text, which must stay. */
  @Override
  public String toString() {
    String fields = fields().toString();
    return "ActivationOptions" + fields.substring(fields.indexOf('['));
  }

  @JsonValue
  ActivationFields fields() {
    return ActivationFields.of(clip, perChannel, quantization, activationBits, weightBits);
  }

  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  static ActivationOptions of(ActivationFields fields) {
    return new ActivationOptions(
        fields.clip(),
        fields.perChannel(),
        fields.quantization(),
        fields.activationBits(),
        fields.weightBits());
  }

  /** A quantizer takes no more of a clip than its start, and whether it is frozen. */
  private static void requireQuantizable(ClipOptions clip) {
    ClipOptions learned = new ClipOptions(ClipForm.TIED).initial(clip.initial);
    ClipOptions frozen = learned.gradient(ThresholdGradient.FROZEN);
    boolean isFrozen = clip.gradient == ThresholdGradient.FROZEN;
    clip.requireSame(isFrozen ? frozen : learned, "with activation bits");
  }

  private static void requireBits(String name, int bits) {
    if (bits != 0) {
      FakeQuantizeOptions.requireBits(name, bits);
    }
  }
}
