package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.util.Arrays;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;

/**
 * Random changes to the images that a network learns from, so that it sees each of them in many
 * ways; with the names and the meaning that they have in torchvision. Black is 0, so it comes
 * before any {@link Normalization}. The images of a test are not given one.
 *
 * @param cropPadding so many black pixels are put around the image, 0 to 31 and fewer than it has
 *     itself, and its size is cut out of it at a place of which each is equally likely ({@code
 *     RandomCrop(32, padding)}); 0 for none
 * @param horizontalFlip whether every other image, by chance, is seen in a mirror ({@code
 *     RandomHorizontalFlip})
 */
public record Augmentation(int cropPadding, boolean horizontalFlip) implements Transform {

  private static final Augmentation NONE = new Augmentation(0, false);

  private static final int MAX_PADDING = 31;

  /**
   * Checks the values.
   *
   * @throws ActclipException when the padding is out of range
   */
  public Augmentation {
    if (cropPadding < 0 || cropPadding > MAX_PADDING) {
      throw ActclipException.badInput("cropPadding (%d) must be 0 to %d", cropPadding, MAX_PADDING);
    }
  }

  /** Leaves the images as they are. */
  public static Augmentation none() {
    return NONE;
  }

  /**
   * Crops and mirrors each image by chance, in place.
   *
   * @param images float32 (B, C, H, W), of any number of channels, H and W above the padding
   * @throws ActclipException bad input, when they are not
   */
  @Override
  public Tensor apply(Tensor images, long[] seeds) {
    if (equals(NONE)) {
      return images;
    }
    SampleValues values = new SampleValues(text(), images);
    Window window = window(values);
    float[] image = new float[values.size()];
    float[] changed = new float[values.size()];
    for (int i = 0; i < values.samples(); i++) {
      values.get(i, image);
      change(seeds[i], window, image, changed);
      values.put(i, changed);
    }
    return values.tensor();
  }

  /** As before: what is left to chance is for a training. */
  @Override
  public Preprocessing after(Preprocessing before) {
    return before;
  }

  private Window window(SampleValues values) {
    long[] shape = values.shape();
    if (shape.length != 4 || Math.min(shape[2], shape[3]) <= cropPadding) {
      throw ActclipException.badInput(
          "%s takes images (B, C, H, W), H and W above %d, and was given the shape %s",
          text(), cropPadding, Arrays.toString(shape));
    }
    return new Window((int) shape[2], (int) shape[3], values.step());
  }

  private void change(long seed, Window window, float[] from, float[] to) {
    Random random = new Random(seed);
    int down = random.nextInt(2 * cropPadding + 1) - cropPadding;
    int right = random.nextInt(2 * cropPadding + 1) - cropPadding;
    boolean mirrored = random.nextBoolean() && horizontalFlip;
    window.crop(from, to, down, right);
    if (mirrored) {
      window.mirror(to);
    }
  }

  /**
   * How an image lies in memory: one or more planes of rows.
   *
   * @param rows of a plane
   * @param columns pixels of a row
   * @param values of a pixel
   */
  record Window(int rows, int columns, int values) {

    /** Copies what an image shows through a window that was moved from it; black is beyond it. */
    void crop(float[] from, float[] to, int down, int right) {
      Arrays.fill(to, 0);
      int row = columns * values;
      int length = (columns - Math.abs(right)) * values;
      int source = down * row + Math.max(right, 0) * values;
      int target = Math.max(-right, 0) * values;
      for (int plane = 0; plane < to.length; plane += rows * row) {
        for (int y = Math.max(-down, 0); y < rows - Math.max(down, 0); y++) {
          int at = plane + y * row;
          System.arraycopy(from, at + source, to, at + target, length);
        }
      }
    }

    void mirror(float[] image) {
      for (int row = 0; row < image.length; row += columns * values) {
        int left = row;
        int right = row + (columns - 1) * values;
        while (left < right) {
          for (int value = 0; value < values; value++) {
            float swapped = image[left + value];
            image[left + value] = image[right + value];
            image[right + value] = swapped;
          }
          left += values;
          right -= values;
        }
      }
    }
  }
}
