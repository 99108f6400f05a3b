package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Supplier;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/** Decodes the files that ImageIO has a reader for. Their content is not trusted. */
final class ImageFile {

  /** As many as PIL takes without a warning; a decoded image takes 3 to 8 bytes for each. */
  static final long MAX_PIXELS = 89_478_485;

  /** What messages call an image that is in no file. */
  static final Path UNNAMED = Path.of("the image");

  private static final int RIFF = 0x52494646;
  private static final int RIFF_BYTES = 8;

  private ImageFile() {}

  /**
   * Decodes an image, or the first in the file.
   *
   * @param mostPixels that it may have
   * @throws ActclipException bad input, naming the file, when it is none, is damaged or too large;
   *     a failure, when there is not enough memory for it
   */
  static BufferedImage read(Path path, long mostPixels) {
    return read(
        path,
        () -> DataFile.open(path),
        () ->
            ForeignFormat.of(path)
                .orElse(
                    "is not an image, whatever its name says: it begins like none of the formats"
                        + " that are read"),
        mostPixels);
  }

  /** Decodes the content of a file, likewise. */
  static BufferedImage read(byte[] content, long mostPixels) {
    return read(
        UNNAMED,
        () -> DataFile.of(UNNAMED.toString(), content),
        () ->
            ForeignFormat.of(content)
                .orElse("is not one: it begins like none of the formats that are read"),
        mostPixels);
  }

  private interface Opener {
    DataFile open() throws IOException;
  }

  private static BufferedImage read(
      Path path, Opener opener, Supplier<String> otherwise, long mostPixels) {
    // No file of ImageIO's own for what was read: it doubles the time.
    try (DataFile file = opener.open();
        ImageInputStream in = new MemoryCacheImageInputStream(new EndingStream(file.in()))) {
      requireWhole(path, file);
      Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw ActclipException.badInput("%s %s", DataFolder.shown(path), otherwise.get());
      }
      ImageReader reader = readers.next();
      try {
        reader.setInput(in, true, true);
        return read(path, reader, mostPixels);
      } finally {
        reader.dispose();
      }
    } catch (ActclipException e) {
      throw e;
    } catch (IOException | RuntimeException e) { // readers throw anything at what is damaged
      throw e.getCause() instanceof OutOfMemoryError // as that of PNG hides it
          ? tooLargeForHeap(path, e)
          : damaged(path, ActclipException.firstLine(e));
    } catch (OutOfMemoryError e) {
      throw tooLargeForHeap(path, e);
    }
  }

  /** A RIFF file, such as WebP, begins with its length; its reader does not look. */
  private static void requireWhole(Path path, DataFile file) throws IOException {
    file.in().mark(RIFF_BYTES);
    ByteBuffer head = ByteBuffer.wrap(file.in().readNBytes(RIFF_BYTES));
    file.in().reset();
    if (head.remaining() == RIFF_BYTES && head.getInt() == RIFF) {
      long length = Integer.toUnsignedLong(head.order(ByteOrder.LITTLE_ENDIAN).getInt());
      if (RIFF_BYTES + length > file.length()) {
        throw damaged(path, "it has " + file.length() + " of " + (RIFF_BYTES + length) + " bytes");
      }
    }
  }

  private static BufferedImage read(Path path, ImageReader reader, long mostPixels)
      throws IOException {
    long width = reader.getWidth(0);
    long height = reader.getHeight(0);
    if (width * height > mostPixels) {
      throw ActclipException.badInput(
          "%s has %d×%d pixels; images of at most %d are read: make it smaller",
          DataFolder.shown(path), width, height, mostPixels);
    }
    List<String> warnings = new ArrayList<>();
    reader.addIIOReadWarningListener((source, warning) -> warnings.add(warning));
    BufferedImage image = reader.read(0);
    for (String warning : warnings) {
      if (isLoss(warning)) {
        throw damaged(path, warning);
      }
    }
    return image;
  }

  /**
   * Of JPEG, what is missing is filled with grey, and only a warning; bytes too many are harmless.
   */
  private static boolean isLoss(String warning) {
    return warning.startsWith("Truncated File")
        || warning.startsWith("Corrupt JPEG data") && !warning.contains("extraneous");
  }

  private static ActclipException tooLargeForHeap(Path path, Throwable e) {
    return ActclipException.failure(
        e,
        "%s takes more memory to decode than there is: make it smaller, or the heap larger (-Xmx)",
        DataFolder.shown(path));
  }

  private static ActclipException damaged(Path path, String why) {
    return ActclipException.badInput("%s is damaged or cut off: %s", DataFolder.shown(path), why);
  }
}
