package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;

/**
 * The shape of a {@link Net}.
 *
 * @param inChannels channels of the images, at least 1
 * @param imageSize height and width of the images in pixels, at least {@value #MIN_IMAGE_SIZE}
 * @param numClasses number of logits, at least 1
 */
public record NetOptions(int inChannels, int imageSize, int numClasses) {

  /** The smallest image of which two 5×5 convolutions with 2×2 pooling leave one pixel. */
  public static final int MIN_IMAGE_SIZE = 16;

  /**
   * Checks the values.
   *
   * @throws ActclipException when one of them is too small
   */
  public NetOptions {
    requireAtLeast("inChannels", inChannels, 1);
    requireAtLeast("imageSize", imageSize, MIN_IMAGE_SIZE);
    requireAtLeast("numClasses", numClasses, 1);
  }

  /** The original network's: 3×32×32 images, 10 classes. */
  public static NetOptions original() {
    return new NetOptions(3, 32, 10);
  }

  /** Height and width of what the second pooling leaves. */
  int pooledSize() {
    return afterConvAndPool(afterConvAndPool(imageSize));
  }

  private static int afterConvAndPool(int size) {
    return (size - Net.KERNEL_SIZE + 1) / Net.POOL_SIZE;
  }

  private static void requireAtLeast(String name, int value, int least) {
    if (value < least) {
      throw ActclipException.badInput("%s (%d) must be at least %d", name, value, least);
    }
  }
}
