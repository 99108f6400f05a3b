package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.runtime.ActclipException;
import java.util.OptionalDouble;

/**
 * What is asked of a network, whichever it is.
 *
 * @param channels of its images
 * @param imageSize their height and width
 * @param classes how many it tells apart
 * @param width as {@code --width} has it; empty for the network's own
 * @param activation how it clips
 */
public record Wanted(
    int channels, int imageSize, int classes, OptionalDouble width, ActivationOptions activation) {

  static final int SMALL_IMAGES = 32;
  static final int FEW_CLASSES = 10;

  /** Images of 3×32×32 in ten classes, and the network's own width. */
  static Wanted small(ActivationOptions activation) {
    return new Wanted(3, SMALL_IMAGES, FEW_CLASSES, OptionalDouble.empty(), activation);
  }

  int pixels() {
    return channels * imageSize * imageSize;
  }

  /** The width as a whole number. */
  int width(int otherwise) {
    double given = width.orElse(otherwise);
    if (given != (int) given) {
      throw ActclipException.badInput(
          "--width (%s) must be a whole number, but for mobilenet_v2", given);
    }
    return (int) given;
  }

  /**
   * Refuses a width.
   *
   * @param network that has but one, as a sentence names it
   * @throws ActclipException bad input, when one is given
   */
  public Wanted withoutWidth(String network) {
    if (width.isPresent()) {
      throw ActclipException.badInput(
          "--width (%s) is no option of %s, which has one width: leave it out",
          width.getAsDouble(), network);
    }
    return this;
  }
}
