package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.util.Arrays;
import java.util.Random;

/**
 * Random changes to the images that a network learns from, so that it sees each of them in many
 * ways; with the names and the meaning that they have in torchvision.
 *
 * @param cropPadding so many black pixels are put around the 32×32 image, 0 to 31, and 32×32 pixels
 *     are cut out of it at a place of which each is equally likely ({@code RandomCrop(32,
 *     padding)}); 0 for none
 * @param horizontalFlip whether every other image, by chance, is seen in a mirror ({@code
 *     RandomHorizontalFlip})
 */
public record Augmentation(int cropPadding, boolean horizontalFlip) {

  private static final Augmentation NONE = new Augmentation(0, false);

  /** Floats of a row. */
  private static final int ROW = PixelFormat.SIDE * PixelFormat.CHANNELS;

  /**
   * Checks the values.
   *
   * @throws ActclipException when the padding is out of range
   */
  public Augmentation {
    if (cropPadding < 0 || cropPadding >= PixelFormat.SIDE) {
      throw ActclipException.badInput(
          "cropPadding (%d) must be 0 to %d", cropPadding, PixelFormat.SIDE - 1);
    }
  }

  /** Leaves the images as they are. */
  public static Augmentation none() {
    return NONE;
  }

  /**
   * Changes one image by chance.
   *
   * @param seed what the chance depends on, and nothing else
   * @param from rows × columns × channels
   * @param to gets the same of the changed image
   */
  void apply(long seed, float[] from, float[] to) {
    if (equals(NONE)) {
      System.arraycopy(from, 0, to, 0, to.length);
      return;
    }
    Random random = new Random(seed);
    int down = random.nextInt(2 * cropPadding + 1) - cropPadding;
    int right = random.nextInt(2 * cropPadding + 1) - cropPadding;
    boolean mirrored = random.nextBoolean() && horizontalFlip;
    crop(from, to, down, right);
    if (mirrored) {
      mirror(to);
    }
  }

  /** Copies what an image shows through a window that was moved from it; black is beyond it. */
  static void crop(float[] from, float[] to, int down, int right) {
    Arrays.fill(to, 0);
    int columns = PixelFormat.SIDE - Math.abs(right);
    int source = Math.max(right, 0) * PixelFormat.CHANNELS;
    int target = Math.max(-right, 0) * PixelFormat.CHANNELS;
    for (int y = Math.max(-down, 0); y < PixelFormat.SIDE - Math.max(down, 0); y++) {
      System.arraycopy(
          from, (y + down) * ROW + source, to, y * ROW + target, columns * PixelFormat.CHANNELS);
    }
  }

  static void mirror(float[] image) {
    for (int row = 0; row < PixelFormat.VALUES; row += ROW) {
      int left = row;
      int right = row + ROW - PixelFormat.CHANNELS;
      while (left < right) {
        for (int channel = 0; channel < PixelFormat.CHANNELS; channel++) {
          float swapped = image[left + channel];
          image[left + channel] = image[right + channel];
          image[right + channel] = swapped;
        }
        left += PixelFormat.CHANNELS;
        right -= PixelFormat.CHANNELS;
      }
    }
  }
}
