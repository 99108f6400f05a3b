package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.List;

/**
 * Makes samples of what people have, as a {@link Preprocessing} says; all but its normalisation,
 * which {@link #normalizer} does. The values of a sample are in the order in which they are in the
 * memory of a batch: of images channels last, (H, W, C). Without LibTorch, and so on any thread.
 * Thread-safe.
 */
@Internal
public final class SampleReader {

  /** A compressed image of the most pixels is smaller. */
  private static final int MAX_BYTES = 256 << 20;

  private static final int MAX_LEVEL = 255;

  private final Preprocessing preprocessing;
  private final Frame frame;
  private final long mostPixels;
  private final int channels;
  private final int size;

  /**
   * A reader.
   *
   * @param mostPixels that an image may have, from 1 on; never more than this library decodes
   * @throws ActclipException bad input, when something was done to the data that it cannot do
   */
  public SampleReader(Preprocessing preprocessing, long mostPixels) {
    if (!preprocessing.others().isEmpty()) {
      throw ActclipException.badInput(
          "the data of the training went through %s, which nobody else can do: give the"
              + " preprocessing yourself, and to the predictor what comes after that",
          preprocessing.others());
    }
    this.preprocessing = preprocessing;
    this.mostPixels = Math.min(mostPixels, ImageFile.MAX_PIXELS);
    frame = preprocessing.framing();
    channels = isOfChannels() ? Math.toIntExact(preprocessing.shape().get(0)) : 1;
    size = Math.toIntExact(preprocessing.shape().stream().reduce(1L, (x, y) -> x * y));
  }

  /** Whether samples are (C, H, W), and their channels last in memory. */
  public boolean isOfChannels() {
    return preprocessing.shape().size() == 3;
  }

  /** Of a sample, without the batch. */
  public List<Long> shape() {
    return preprocessing.shape();
  }

  /** How many values a sample has. */
  public int size() {
    return size;
  }

  /** What normalises such samples. */
  public Normalizer normalizer() {
    int[] channelOf = new int[size];
    Normalization normalization = preprocessing.normalization();
    if (normalization.equals(Normalization.none())) {
      return new Normalizer(Normalization.none(), new int[size]); // of any number of channels
    }
    int each = size / normalization.mean().size();
    for (int at = 0; at < size; at++) {
      channelOf[at] = isOfChannels() ? at % channels : at / each;
    }
    return new Normalizer(normalization, channelOf);
  }

  /**
   * Takes values as they are before normalisation, in the order of the shape: (C, H, W) of images.
   *
   * @param values stay the caller's; from position to limit, which stay as they are
   * @throws ActclipException bad input, when there are not as many as the shape has
   */
  public float[] read(FloatBuffer values) {
    requireSize(values.remaining(), "values");
    float[] given = new float[size];
    values.get(values.position(), given);
    if (!isOfChannels()) {
      return given;
    }
    float[] sample = new float[size];
    int plane = size / channels;
    for (int channel = 0; channel < channels; channel++) {
      int from = channel * plane;
      for (int to = channel; to < size; to += channels) {
        sample[to] = given[from++];
      }
    }
    return sample;
  }

  /**
   * Takes pixels of 0 to 255, (H, W, C), of the size that the network takes.
   *
   * @param pixels likewise
   * @throws ActclipException bad input, when there are not as many, or the network takes no images
   */
  public float[] read(ByteBuffer pixels) {
    if (!isOfChannels()) {
      throw ActclipException.badInput(
          "bytes are pixels of an image, and the network takes values of shape %s: give floats",
          preprocessing.shape());
    }
    requireSize(pixels.remaining(), "bytes");
    float[] sample = new float[size];
    int from = pixels.position();
    for (int at = 0; at < size; at++) {
      sample[at] = (pixels.get(from + at) & MAX_LEVEL) / (float) MAX_LEVEL;
    }
    return sample;
  }

  private void requireSize(int given, String what) {
    if (given != size) {
      throw ActclipException.badInput(
          "%d %s were given, and the network takes %d of shape %s",
          given, what, size, preprocessing.shape());
    }
  }

  /**
   * Takes an image of any size, upright.
   *
   * @throws ActclipException bad input, when it has too many pixels or channels of more than 16
   *     bits, is too small, or the network takes no images
   */
  public float[] read(BufferedImage image) {
    requireImages();
    long pixels = (long) image.getWidth() * image.getHeight();
    if (pixels > mostPixels) {
      throw ActclipException.badInput(
          "the image has %d×%d pixels; images of at most %d are read: make it smaller",
          image.getWidth(), image.getHeight(), mostPixels);
    }
    return sample(FramedImage.of(image, frame));
  }

  /**
   * Decodes an image, of the formats and in the way of an {@link ImageFolder}.
   *
   * @param in stays open
   * @throws ActclipException bad input, when it is no such image, is damaged or too large, or the
   *     network takes no images; a failure, when the stream cannot be read
   */
  public float[] read(InputStream in) {
    requireImages();
    byte[] content;
    try {
      content = in.readNBytes(MAX_BYTES + 1);
    } catch (IOException e) {
      throw ActclipException.failure(e, "the image cannot be read: %s", e.getMessage());
    }
    if (content.length > MAX_BYTES) {
      throw ActclipException.badInput("the image has more than %d bytes", MAX_BYTES);
    }
    if (content.length == 0) {
      throw ActclipException.badInput("the image is empty: there is not a byte of it");
    }
    return sample(FramedImage.read(content, mostPixels, frame));
  }

  /** The same of a file. */
  public float[] read(Path file) {
    requireImages();
    return sample(FramedImage.read(file, mostPixels, frame));
  }

  private void requireImages() {
    if (!preprocessing.ofImages()) {
      throw ActclipException.badInput(
          "the network was trained with values of shape %s and not with images: give values",
          preprocessing.shape());
    }
  }

  private float[] sample(FramedImage seen) {
    int padding = preprocessing.padding();
    long rows = preprocessing.shape().get(1);
    long columns = preprocessing.shape().get(2);
    if (seen.rows() + 2 * padding != rows || seen.columns() + 2 * padding != columns) {
      throw ActclipException.badInput(
          "%s is seen %d×%d, and the network takes %d×%d",
          DataFolder.shown(seen.file()),
          seen.rows(),
          seen.columns(),
          rows - 2 * padding,
          columns - 2 * padding);
    }
    float[] pixels = preprocessing.grey() ? grey(seen.pixels()) : seen.pixels();
    return padding == 0 ? pixels : padded(pixels, seen.rows(), seen.columns(), padding);
  }

  /** As PIL weighs them; what is grey stays as it is. */
  private static float[] grey(float[] pixels) {
    for (int at = 0; at < pixels.length; at += RgbRows.CHANNELS) {
      float red = pixels[at];
      float green = pixels[at + 1];
      float blue = pixels[at + 2];
      if (red != green || green != blue) {
        float level = 0.299f * red + 0.587f * green + 0.114f * blue;
        pixels[at] = level;
        pixels[at + 1] = level;
        pixels[at + 2] = level;
      }
    }
    return pixels;
  }

  private static float[] padded(float[] pixels, int rows, int columns, int padding) {
    int row = columns * RgbRows.CHANNELS;
    int longer = (columns + 2 * padding) * RgbRows.CHANNELS;
    float[] padded = new float[(rows + 2 * padding) * longer];
    for (int y = 0; y < rows; y++) {
      int to = (y + padding) * longer + padding * RgbRows.CHANNELS;
      System.arraycopy(pixels, y * row, padded, to, row);
    }
    return padded;
  }
}
