package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What is done to a sample before a network sees it, and what its outputs are called. A training in
 * a folder writes that of its test data beside the weights: see {@link Dataset#preprocessing}. By
 * hand, for weights from elsewhere:
 *
 * <pre>{@code
 * Preprocessing photos = Preprocessing.ofImages(256).centerCrop(224)
 *     .normalized(new Normalization(List.of(0.485, 0.456, 0.406), List.of(0.229, 0.224, 0.225)))
 *     .named(classes);
 * }</pre>
 *
 * @param shape of a sample, without the batch: (C, H, W) of images, (F) of rows
 * @param ofImages whether the files of images can become samples; else there are values alone
 * @param resize pixels that an image's shorter side is resized to; 0 to leave it as it is
 * @param crop height and width of the part in its middle that is seen; 0 for all of it
 * @param padding black pixels that are put around that
 * @param grey whether colours become grey, in three equal channels
 * @param normalization what comes after that
 * @param classes the names of the outputs; empty where they have none
 * @param others the texts of transforms that nobody else can do, such as those of a user's own;
 *     with one of them, a network can be given nothing but its training's data
 */
public record Preprocessing(
    List<Long> shape,
    boolean ofImages,
    int resize,
    int crop,
    int padding,
    boolean grey,
    Normalization normalization,
    List<String> classes,
    List<String> others) {

  /** The text beside a network's weights that has it as JSON. */
  public static final String NOTE = "actclip.preprocessing";

  /** More than any network takes, and less than overflows. */
  private static final long MAX_VALUES = 1L << 28;

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, naming what cannot be
   */
  public Preprocessing {
    shape = List.copyOf(shape);
    classes = List.copyOf(classes);
    others = List.copyOf(others);
    Objects.requireNonNull(normalization, "normalization");
    long values = 1;
    for (long length : shape) {
      values = length < 1 || length > MAX_VALUES ? 0 : values * length;
      if (values < 1 || values > MAX_VALUES) {
        throw ActclipException.badInput(
            "the shape of a sample (%s) must be of lengths from 1 on, and of at most %d values",
            shape, MAX_VALUES);
      }
    }
    requireNormalization(shape, normalization);
    if (ofImages) {
      requireImages(shape, crop, padding);
    }
  }

  private static void requireNormalization(List<Long> shape, Normalization normalization) {
    boolean fits = !shape.isEmpty() && shape.get(0) == normalization.mean().size();
    if (!fits && !normalization.equals(Normalization.none())) {
      throw ActclipException.badInput(
          "the normalization is of %d channels, and a sample of shape %s",
          normalization.mean().size(), shape);
    }
  }

  private static void requireImages(List<Long> shape, int crop, int padding) {
    if (shape.size() != 3 || shape.get(0) != RgbRows.CHANNELS) {
      throw ActclipException.badInput(
          "images become samples of shape (3, H, W), and this is (%s)", shape);
    }
    boolean square = shape.get(1) == crop + 2L * padding && shape.get(2).equals(shape.get(1));
    if (crop != 0 && !square) {
      throw ActclipException.badInput(
          "images of which %d×%d pixels are seen, with %d around them, are not of the shape %s",
          crop, crop, padding, shape);
    }
  }

  /**
   * Of images, whose shorter side is resized to so many pixels; of the longer one the middle is
   * seen.
   *
   * @param size 1 to 8192
   * @throws ActclipException bad input, when it is out of range
   */
  public static Preprocessing ofImages(int size) {
    return ofFrame(Framing.NONE.resized(size), List.of());
  }

  /** Of the images of a folder, seen as it has them. */
  static Preprocessing ofImages(ImageFolder images, Framing framing) {
    List<String> classes = images.classes();
    if (framing.crop() > 0) {
      return ofFrame(framing, classes);
    }
    return new Preprocessing(
        shape(images), true, 0, 0, 0, false, Normalization.none(), classes, List.of());
  }

  private static Preprocessing ofFrame(Framing framing, List<String> classes) {
    return new Preprocessing(
        List.of((long) RgbRows.CHANNELS, (long) framing.crop(), (long) framing.crop()),
        true,
        framing.resize(),
        framing.crop(),
        0,
        false,
        Normalization.none(),
        classes,
        List.of());
  }

  /**
   * Of values alone.
   *
   * @param shape of a sample, without the batch
   * @throws ActclipException bad input, when there can be none of that shape
   */
  public static Preprocessing ofValues(long... shape) {
    return ofValues(LongStream.of(shape).boxed().toList(), List.of(), List.of());
  }

  /** Of values that are as the first sample's. */
  static Preprocessing ofValues(Dataset dataset) {
    List<String> others = new ArrayList<>();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor data = Batch.require(dataset.name(), dataset.batch(0), 1).data();
      if (data.scalar_type().intern() != ScalarType.Float) {
        others.add("values of the dtype " + data.scalar_type().intern());
      }
    }
    return ofValues(shape(dataset), dataset.classes(), others);
  }

  private static Preprocessing ofValues(
      List<Long> shape, List<String> classes, List<String> others) {
    return new Preprocessing(shape, false, 0, 0, 0, false, Normalization.none(), classes, others);
  }

  private static List<Long> shape(Dataset dataset) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch first = Batch.require(dataset.name(), dataset.batch(0), 1);
      return Arrays.stream(first.data().shape()).skip(1).boxed().toList();
    }
  }

  /**
   * The same, of which only a square in the middle is seen.
   *
   * @param size 1 to {@link #resize}
   * @throws ActclipException bad input, when it is out of range, or there are no images
   */
  public Preprocessing centerCrop(int size) {
    requireImages("centerCrop");
    Framing framing = framing().cropped(size);
    return framed(framing.crop(), padding, grey);
  }

  /** The same, with so many black pixels around what is seen. */
  Preprocessing padded(int pixels) {
    return framed(crop, pixels, grey);
  }

  /**
   * The same, of which colours become grey, as by PIL's {@code convert("L")}, in three channels.
   *
   * @throws ActclipException bad input, when there are no images
   */
  public Preprocessing inGrey() {
    requireImages("inGrey");
    return framed(crop, padding, true);
  }

  private Preprocessing framed(int newCrop, int newPadding, boolean newGrey) {
    long side = newCrop + 2L * newPadding;
    return new Preprocessing(
        List.of((long) RgbRows.CHANNELS, side, side),
        true,
        resize,
        newCrop,
        newPadding,
        newGrey,
        normalization,
        classes,
        others);
  }

  private void requireImages(String what) {
    if (!ofImages) {
      throw ActclipException.badInput("%s is for images, and these are values: %s", what, this);
    }
  }

  /** The same, normalised so in the end. */
  public Preprocessing normalized(Normalization by) {
    return new Preprocessing(shape, ofImages, resize, crop, padding, grey, by, classes, others);
  }

  /** The same, with names of the outputs. */
  public Preprocessing named(List<String> names) {
    return new Preprocessing(
        shape, ofImages, resize, crop, padding, grey, normalization, names, others);
  }

  /** The same, with another step that nobody else can do. */
  Preprocessing with(String other) {
    List<String> longer = new ArrayList<>(others);
    longer.add(other);
    return new Preprocessing(
        shape, ofImages, resize, crop, padding, grey, normalization, classes, longer);
  }

  Framing framing() {
    return new Framing(resize, crop);
  }

  /** Whether samples for this are samples for the other one, but for the normalisation. */
  public boolean takesAs(Preprocessing other) {
    return normalized(Normalization.none())
        .named(List.of())
        .equals(other.normalized(Normalization.none()).named(List.of()));
  }
}
