package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Which part of an image is seen, and how large: torchvision's {@code Resize}, of the shorter side,
 * and then {@code CenterCrop}.
 *
 * @param resize pixels of the shorter side; 0 to leave it as it is
 * @param crop height and width of the part in the middle; 0 for all of it
 */
record Framing(int resize, int crop) implements Frame {

  /** More than a network is ever given. */
  private static final int MAX_SIZE = 8192;

  /** Images as they are. */
  static final Framing NONE = new Framing(0, 0);

  /** A square of that size. */
  Framing resized(int size) {
    requireSize("resize", size);
    if (resize == 0 && crop > 0) {
      throw ActclipException.badInput(
          "resize(%d) comes before centerCrop(%d), as in torchvision: turn them round", size, crop);
    }
    return new Framing(size, size);
  }

  Framing cropped(int size) {
    requireSize("centerCrop", size);
    if (resize > 0 && size > resize) {
      throw ActclipException.badInput(
          "centerCrop(%d) is more than the %d that the shorter side was resized to", size, resize);
    }
    return new Framing(resize, size);
  }

  private static void requireSize(String what, int size) {
    if (size < 1 || size > MAX_SIZE) {
      throw ActclipException.badInput("%s(%d) must be 1 to %d pixels", what, size, MAX_SIZE);
    }
  }

  /** As torchvision has it, for {@link Dataset#transforms}. */
  List<String> texts() {
    List<String> texts = new ArrayList<>();
    if (resize > 0) {
      texts.add("Resize(" + resize + ")");
    }
    if (crop > 0) {
      texts.add("CenterCrop(" + crop + ")");
    }
    return texts;
  }

  @Override
  public FramedImage of(Path file, RgbRows image, Orientation orientation) {
    int shorter = Math.min(image.rows(), image.columns());
    if (resize == 0 && crop > shorter) {
      throw ActclipException.badInput(
          "%s is %d×%d, too small for centerCrop(%d): resize it before",
          DataFolder.shown(file), image.rows(), image.columns(), crop);
    }
    return FramedImage.of(
        file,
        image,
        orientation,
        axis(image.rows(), shorter, orientation.mirroredRows()),
        axis(image.columns(), shorter, orientation.mirroredColumns()));
  }

  private Resampling axis(int length, int shorter, boolean mirrored) {
    long resized = resize == 0 ? length : (long) resize * length / shorter;
    int cropped = crop == 0 ? length : crop; // who resizes also crops
    long before = (long) Math.rint((resized - cropped) / 2.0); // as Python rounds
    long offset = mirrored ? resized - cropped - before : before;
    return Resampling.of(length, resized, offset, cropped);
  }
}
