package io.github.actclip.train;

/**
 * How well a network did on some images.
 *
 * @param loss the mean cross-entropy per image, in nats
 * @param correct how many images it named right
 * @param images how many images there were
 */
public record Evaluation(double loss, long correct, long images) {

  /** The share of images that it named right, from 0 to 1. */
  public double accuracy() {
    return (double) correct / images;
  }
}
