package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Brings the pixels of each channel to about mean 0 and standard deviation 1: {@code (pixel − mean)
 * / std}, as torchvision's {@code Normalize} does, after any {@link Augmentation}. A network has to
 * be tested with that of its training.
 *
 * @param mean of each of the three channels, of pixels from 0 to 1
 * @param std likewise, each a normal float32 number above 0
 */
public record Normalization(List<Double> mean, List<Double> std) {

  private static final Normalization NONE =
      new Normalization(
          Collections.nCopies(PixelFormat.CHANNELS, 0.0),
          Collections.nCopies(PixelFormat.CHANNELS, 1.0));

  /**
   * Checks the values.
   *
   * @throws ActclipException when there are not three of each, or one cannot be
   */
  public Normalization {
    mean = List.copyOf(mean);
    std = List.copyOf(std);
    if (mean.size() != PixelFormat.CHANNELS || std.size() != PixelFormat.CHANNELS) {
      throw ActclipException.badInput(
          "mean (%s) and std (%s) must have a number for each of the %d channels",
          mean, std, PixelFormat.CHANNELS);
    }
    if (!mean.stream().allMatch(m -> Float.isFinite(m.floatValue()))) {
      throw ActclipException.badInput("mean (%s) must be finite numbers", mean);
    }
    if (!std.stream().allMatch(s -> s >= Float.MIN_NORMAL && Float.isFinite(s.floatValue()))) {
      throw ActclipException.badInput(
          "std (%s) must be finite numbers above 0, and %s at least", std, Float.MIN_NORMAL);
    }
  }

  /** Leaves the pixels as they are, from 0 to 1. */
  public static Normalization none() {
    return NONE;
  }

  /**
   * By mean and standard deviation of all pixels of a data set, as 3×32×32: what pads a grey image
   * counts. The pixels are counted by their values first, so that rounding does not add up.
   *
   * @throws ActclipException when all pixels of a channel are the same
   */
  public static Normalization of(ImageDataset dataset) {
    long[][] counts = new long[PixelFormat.CHANNELS][PixelFormat.LEVELS.length];
    float[] image = new float[PixelFormat.VALUES];
    for (int i = 0; i < dataset.size(); i++) {
      dataset.decode(i, image);
      for (int at = 0; at < image.length; at++) {
        counts[at % PixelFormat.CHANNELS][PixelFormat.byteOf(image[at])]++;
      }
    }
    double[] mean = channels().mapToDouble(c -> mean(counts[c], 0, 1)).toArray();
    double[] std = channels().mapToDouble(c -> Math.sqrt(mean(counts[c], mean[c], 2))).toArray();
    return new Normalization(boxed(mean), boxed(std));
  }

  /** The mean of (pixel − center)^power: of these differences, so that equal pixels give 0. */
  private static double mean(long[] counts, double center, int power) {
    double sum = 0;
    for (int level = 0; level < counts.length; level++) {
      sum += counts[level] * Math.pow(PixelFormat.LEVELS[level] - center, power);
    }
    return sum / Arrays.stream(counts).sum();
  }

  private static List<Double> boxed(double[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  /** Equal are those that do the same to every pixel, which they are applied to in float32. */
  @Override
  public boolean equals(Object other) {
    return other instanceof Normalization that
        && floats(mean).equals(floats(that.mean))
        && floats(std).equals(floats(that.std));
  }

  @Override
  public int hashCode() {
    return Objects.hash(floats(mean), floats(std));
  }

  private static List<Float> floats(List<Double> values) {
    return values.stream().map(Double::floatValue).toList();
  }

  private static IntStream channels() {
    return IntStream.range(0, PixelFormat.CHANNELS);
  }

  /** Normalises an image in place, in float32. */
  void apply(float[] image) {
    if (equals(NONE)) {
      return;
    }
    for (int channel = 0; channel < PixelFormat.CHANNELS; channel++) {
      float center = mean.get(channel).floatValue();
      float scale = std.get(channel).floatValue();
      for (int at = channel; at < image.length; at += PixelFormat.CHANNELS) {
        image[at] = (image[at] - center) / scale;
      }
    }
  }
}
