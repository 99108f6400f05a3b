package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.Collections;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;

/**
 * Brings each channel of images, or each column of rows, to about mean 0 and standard deviation 1:
 * {@code (value − mean) / std}, as torchvision's {@code Normalize} and scikit-learn's {@code
 * StandardScaler} do; after any {@link Augmentation}. A network has to be tested with that of its
 * training.
 *
 * <pre>{@code
 * Normalization normalization = Normalization.of(train);
 * Dataset training = train.transformed(normalization);
 * Dataset testing = test.transformed(normalization);
 * }</pre>
 *
 * @param mean of each channel or column, in the unit of the data: pixels are from 0 to 1
 * @param std likewise, each a normal float32 number above 0
 */
public record Normalization(List<Double> mean, List<Double> std) implements Transform {

  /** Samples that are looked at together. */
  private static final int BATCH_SIZE = 64;

  private static final Normalization NONE =
      new Normalization(
          Collections.nCopies(PixelFormat.CHANNELS, 0.0),
          Collections.nCopies(PixelFormat.CHANNELS, 1.0));

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, when there are not as many of each, or one cannot be
   */
  public Normalization {
    mean = List.copyOf(mean);
    std = List.copyOf(std);
    if (mean.isEmpty() || mean.size() != std.size()) {
      throw ActclipException.badInput(
          "mean (%s) and std (%s) must have a number for each channel", mean, std);
    }
    if (!mean.stream().allMatch(m -> Float.isFinite(m.floatValue()))) {
      throw ActclipException.badInput("mean (%s) must be finite numbers", mean);
    }
    if (!std.stream().allMatch(s -> s >= Float.MIN_NORMAL && Float.isFinite(s.floatValue()))) {
      throw ActclipException.badInput(
          "std (%s) must be finite numbers above 0, and %s at least", std, Float.MIN_NORMAL);
    }
  }

  /** Leaves the values as they are, whatever their shape. */
  public static Normalization none() {
    return NONE;
  }

  /**
   * By mean and standard deviation of all values of a data set, for each channel: of images, of all
   * pixels as they are seen, what pads a grey image among them; of rows, of each column. Goes
   * through the samples twice.
   *
   * @param dataset that of the training, also for what a network is tested with; its data is
   *     float32 (B, C, …)
   * @throws ActclipException bad input, when all values of a channel are the same
   */
  public static Normalization of(Dataset dataset) {
    double[] mean = means(dataset, new double[channels(dataset)], false);
    double[] variance = means(dataset, mean, true);
    for (int channel = 0; channel < variance.length; channel++) {
      if (variance[channel] == 0) {
        throw ActclipException.badInput(
            "all values of channel %d of %s are %s, which no division brings to a deviation of 1:"
                + " leave it out, or give mean and std yourself",
            channel, dataset.name(), mean[channel]);
      }
    }
    return new Normalization(boxed(mean), boxed(Arrays.stream(variance).map(Math::sqrt).toArray()));
  }

  private static int channels(Dataset dataset) {
    try (TensorScope scope = new TensorScope()) {
      return values(scope, dataset, 0).channels();
    }
  }

  /** The mean of value − center in each channel, or of its square: equal values give 0. */
  private static double[] means(Dataset dataset, double[] center, boolean squared) {
    // Added up with compensation, so that rounding does not add up.
    List<DoubleSummaryStatistics> channels =
        Arrays.stream(center).mapToObj(c -> new DoubleSummaryStatistics()).toList();
    long count = 0;
    for (int from = 0; from < dataset.size(); from += BATCH_SIZE) {
      int[] indices = IntStream.range(from, Math.min(from + BATCH_SIZE, dataset.size())).toArray();
      try (TensorScope scope = new TensorScope()) {
        SampleValues values = values(scope, dataset, indices);
        add(values, center, squared, channels);
        count += (long) values.samples() * values.size() / center.length;
      }
    }
    double[] means = new double[center.length];
    for (int channel = 0; channel < means.length; channel++) {
      means[channel] = channels.get(channel).getSum() / count;
    }
    return means;
  }

  private static void add(
      SampleValues values,
      double[] center,
      boolean squared,
      List<DoubleSummaryStatistics> channels) {
    requireChannels("The data set", center.length, values);
    int[] channelOf = values.channelOf();
    double[] centers = Arrays.stream(channelOf).mapToDouble(channel -> center[channel]).toArray();
    double[] sums = new double[values.size()];
    float[] sample = new float[values.size()];
    for (int i = 0; i < values.samples(); i++) {
      values.get(i, sample);
      for (int at = 0; at < sums.length; at++) {
        double difference = sample[at] - centers[at];
        sums[at] += squared ? difference * difference : difference;
      }
    }
    for (int at = 0; at < sums.length; at++) {
      channels.get(channelOf[at]).accept(sums[at]);
    }
  }

  private static void requireChannels(String what, int channels, SampleValues values) {
    if (values.channels() != channels) {
      throw ActclipException.badInput(
          "%s is of %d channels, and there is data of shape %s",
          what, channels, Arrays.toString(values.shape()));
    }
  }

  private static SampleValues values(TensorScope scope, Dataset dataset, int... indices) {
    scope.noGrad();
    Batch batch = Batch.require(dataset.name(), dataset.batch(indices), indices.length);
    return new SampleValues("the mean of each channel", batch.data());
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

  @Override
  public String text() {
    return "Normalization[mean=" + floats(mean) + ", std=" + floats(std) + "]";
  }

  /**
   * Normalises in place, in float32.
   *
   * @param data float32 (B, C, …), with as many channels as there are means
   * @throws ActclipException bad input, when it is not
   */
  @Override
  public Tensor apply(Tensor data, long[] seeds) {
    if (equals(NONE)) {
      return data;
    }
    SampleValues values = new SampleValues("a normalization", data);
    requireChannels("The normalization", mean.size(), values);
    Normalizer normalizer = new Normalizer(this, values.channelOf());
    float[] sample = new float[values.size()];
    for (int i = 0; i < values.samples(); i++) {
      values.get(i, sample);
      normalizer.apply(sample);
      values.put(i, sample);
    }
    return values.tensor();
  }

  /** As it was, where that leaves the values alone; one after another is none of these. */
  @Override
  public Preprocessing after(Preprocessing before) {
    return equals(NONE) || before.normalization().equals(NONE)
        ? before.normalized(equals(NONE) ? before.normalization() : this)
        : Transform.super.after(before);
  }
}
