package io.github.actclip.nn.models;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * The shape of a {@link MobileNetV2}, and how it clips.
 *
 * @param widthMultiplier by which the numbers of channels are multiplied, {@value #MIN_WIDTH} to
 *     {@value #MAX_WIDTH}; they are rounded to multiples of 8
 * @param dropout share of the features that the classifier is not shown in training, 0 to 1
 * @param inChannels channels of the images, 1 to 4,096
 * @param numClasses number of logits, 1 to 1,000,000
 * @param activation how it clips
 */
public record MobileNetV2Options(
    double widthMultiplier,
    double dropout,
    int inChannels,
    int numClasses,
    ActivationOptions activation) {

  private static final double MIN_WIDTH = 0.05;
  private static final double MAX_WIDTH = 8;

  /** Of 3×3. */
  private static final long KERNEL = 9;

  private static final int LAST_CHANNELS = 1280;
  private static final int MULTIPLE = 8;

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, when one of them is out of range
   */
  public MobileNetV2Options {
    Inputs.requireBetween("widthMultiplier", widthMultiplier, MIN_WIDTH, MAX_WIDTH);
    Inputs.requireBetween("dropout", dropout, 0, 1);
    Inputs.requireBetween("inChannels", inChannels, 1, Inputs.MAX_CHANNELS);
    Inputs.requireBetween("numClasses", numClasses, 1, Inputs.MAX_CLASSES);
    Objects.requireNonNull(activation, "activation");
  }

  /** Torchvision's defaults, and clips that start at 6 and are learned. */
  public MobileNetV2Options(int inChannels, int numClasses) {
    this(
        1,
        0.2,
        inChannels,
        numClasses,
        ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(6)));
  }

  /** The same shape with another way to clip. */
  public MobileNetV2Options with(ActivationOptions other) {
    return new MobileNetV2Options(widthMultiplier, dropout, inChannels, numClasses, other);
  }

  /** So many channels of the original, by the multiplier, as torchvision rounds them. */
  int channels(int original) {
    return rounded(original * widthMultiplier);
  }

  /** Those of the last convolution, which does not become narrower. */
  int lastChannels() {
    return rounded(LAST_CHANNELS * Math.max(1, widthMultiplier));
  }

  private static int rounded(double wanted) {
    int nearest = Math.max(MULTIPLE, (int) (wanted + MULTIPLE / 2.0) / MULTIPLE * MULTIPLE);
    return nearest < 0.9 * wanted ? nearest + MULTIPLE : nearest;
  }

  /**
   * How many numbers the weights of such a network are; those of normalisation, biases and
   * thresholds not counted.
   */
  public long weightCount() {
    long in = channels(MobileNetV2.STEM_CHANNELS);
    long count = KERNEL * inChannels * in;
    for (MobileNetV2.Stage stage : MobileNetV2.STAGES) {
      long out = channels(stage.channels());
      for (int i = 0; i < stage.blocks(); i++) {
        long hidden = in * stage.expansion();
        long expanding = stage.expansion() == 1 ? 0 : in * hidden;
        count += expanding + KERNEL * hidden + hidden * out;
        in = out;
      }
    }
    return count + lastChannels() * (in + numClasses);
  }
}
