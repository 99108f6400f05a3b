package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.nio.file.Path;

/** Which part of an image is seen, and how large. */
interface Frame {

  /**
   * What is seen of an image, upright.
   *
   * @param image as it lies in the file
   * @throws ActclipException bad input, when it is smaller than what is cut out of it
   */
  FramedImage of(Path file, RgbRows image, Orientation orientation);
}
