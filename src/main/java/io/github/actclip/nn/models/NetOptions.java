package io.github.actclip.nn.models;

import io.github.actclip.io.Json;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.runtime.ActclipException;
import java.util.Objects;

/**
 * The shape of a {@link Net}, and how it clips.
 *
 * @param inChannels channels of the images, 1 to 4,096
 * @param imageSize height and width of the images in pixels, {@value #MIN_IMAGE_SIZE} to 4,096
 * @param numClasses number of logits, 1 to 1,000,000
 * @param activation how it clips
 */
public record NetOptions(
    int inChannels, int imageSize, int numClasses, ActivationOptions activation) {

  /** The smallest image of which two 5×5 convolutions with 2×2 pooling leave one pixel. */
  public static final int MIN_IMAGE_SIZE = 16;

  private static final int MAX_IMAGE_SIZE = 4096;

  /**
   * Checks the values.
   *
   * @throws ActclipException when one of them is out of range
   */
  public NetOptions {
    Inputs.requireBetween("inChannels", inChannels, 1, Inputs.MAX_CHANNELS);
    Inputs.requireBetween("imageSize", imageSize, MIN_IMAGE_SIZE, MAX_IMAGE_SIZE);
    Inputs.requireBetween("numClasses", numClasses, 1, Inputs.MAX_CLASSES);
    Objects.requireNonNull(activation, "activation");
  }

  /** A network that clips as the original does. */
  public NetOptions(int inChannels, int imageSize, int numClasses) {
    this(inChannels, imageSize, numClasses, ActivationOptions.original());
  }

  /** The same shape with another way to clip. */
  public NetOptions with(ActivationOptions other) {
    return new NetOptions(inChannels, imageSize, numClasses, other);
  }

  /** The original network's: 3×32×32 images, 10 classes. */
  public static NetOptions original() {
    return new NetOptions(3, 32, 10);
  }

  /** All of it as one line of JSON, such as for {@code Trainer.note}. */
  public String toJson() {
    return Json.line(this);
  }

  /**
   * Reads what {@link #toJson} gave.
   *
   * @throws ActclipException bad input when it is something else, or a value is out of range
   */
  public static NetOptions fromJson(String text) {
    return Json.read(text, NetOptions.class, "these are not the options of a Net");
  }

  /** How many numbers the weights of such a network are, biases and thresholds not counted. */
  public long weightCount() {
    long perChannel = (long) Net.KERNEL_SIZE * Net.KERNEL_SIZE;
    return Net.CONV1_CHANNELS * perChannel * (inChannels + Net.CONV2_CHANNELS)
        + flattenedSize() * numClasses;
  }

  /** How many numbers of an image reach the linear layer. */
  long flattenedSize() {
    long pooled = afterConvAndPool(afterConvAndPool(imageSize));
    return Net.CONV2_CHANNELS * pooled * pooled;
  }

  private static int afterConvAndPool(int size) {
    return (size - Net.KERNEL_SIZE + 1) / Net.POOL_SIZE;
  }
}
