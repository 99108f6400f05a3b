package io.github.actclip.data;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * What a camera wrote about how it was held, in JPEG, PNG, WebP and TIFF. The content is not
 * trusted: nothing but that one number is looked at, so that nothing is unpacked and nothing nests.
 */
final class Exif {

  private static final int MOST_BYTES = 256 << 20;
  private static final int HEAD_BYTES = 4;

  private static final int JPEG = 0xFFD8;
  private static final int PNG = 0x89504E47;
  private static final int RIFF = 0x52494646;
  private static final int TIFF_LITTLE = 0x49492A00;
  private static final int TIFF_BIG = 0x4D4D002A;

  private static final int APP1 = 0xFFE1;
  private static final int SCAN = 0xFFDA;
  private static final int PNG_CHUNK = 0x65584966; // eXIf
  private static final int WEBP_CHUNK = 0x45584946; // EXIF

  /** What JPEG has before it, and some writers of the others, too. */
  private static final byte[] NAME = "Exif\0\0".getBytes(StandardCharsets.US_ASCII);

  private static final int ORIENTATION = 0x112;
  private static final int ENTRY_BYTES = 12;
  private static final int BYTE = 1;
  private static final int SHORT = 3;
  private static final int LONG = 4;

  private Exif() {}

  /** The number of the orientation; 0 where there is none, or none that can be understood. */
  static int orientation(InputStream stream) throws IOException {
    InputStream in = new BufferedInputStream(stream);
    in.mark(HEAD_BYTES);
    byte[] head = in.readNBytes(HEAD_BYTES);
    in.reset();
    if (head.length < HEAD_BYTES || !isKnown(ByteBuffer.wrap(head).getInt())) {
      return 0;
    }
    try {
      return block(ByteBuffer.wrap(in.readNBytes(MOST_BYTES))).map(Exif::ofTiff).orElse(0);
    } catch (IndexOutOfBoundsException | IllegalArgumentException e) { // cut off, or damaged
      return 0;
    }
  }

  private static boolean isKnown(int head) {
    return head >>> 16 == JPEG
        || head == PNG
        || head == RIFF
        || head == TIFF_LITTLE
        || head == TIFF_BIG;
  }

  /** The part that is laid out as a file of TIFF. */
  private static Optional<ByteBuffer> block(ByteBuffer file) {
    int head = file.getInt(0);
    if (head >>> 16 == JPEG) {
      return inJpeg(file);
    }
    return switch (head) {
      case PNG -> inChunks(file, 8, PNG_CHUNK, 0, 12);
      case RIFF -> inChunks(file.order(ByteOrder.LITTLE_ENDIAN), 12, WEBP_CHUNK, 4, 8);
      default -> Optional.of(file);
    };
  }

  private static Optional<ByteBuffer> inJpeg(ByteBuffer file) {
    int at = 2;
    while (true) {
      int marker = Short.toUnsignedInt(file.getShort(at));
      if (marker == 0xFFFF) { // fills
        at++;
        continue;
      }
      int length = Short.toUnsignedInt(file.getShort(at + 2));
      if (marker == SCAN || marker >>> 8 != 0xFF || length < 2) {
        return Optional.empty();
      }
      ByteBuffer segment = file.slice(at + 4, length - 2);
      if (marker == APP1 && isNamed(segment)) {
        return Optional.of(withoutName(segment));
      }
      at += 2 + length;
    }
  }

  /**
   * Of chunks of a length, a name and data.
   *
   * @param first where they begin
   * @param lengthAt where in a chunk its length is; the name is in the other four bytes
   * @param around the bytes of a chunk beside its data; WebP fills odd ones up
   */
  private static Optional<ByteBuffer> inChunks(
      ByteBuffer file, int first, int name, int lengthAt, int around) {
    ByteBuffer names = file.duplicate(); // big-endian
    long at = first;
    while (at + around <= file.limit()) {
      int length = file.getInt((int) at + lengthAt);
      if (names.getInt((int) at + 4 - lengthAt) == name) {
        return Optional.of(withoutName(file.slice((int) at + 8, length)));
      }
      long unsigned = Integer.toUnsignedLong(length);
      at += around + unsigned + (lengthAt == 0 ? 0 : unsigned % 2);
    }
    return Optional.empty();
  }

  private static boolean isNamed(ByteBuffer block) {
    return block.limit() >= NAME.length
        && block.slice(0, NAME.length).equals(ByteBuffer.wrap(NAME));
  }

  private static ByteBuffer withoutName(ByteBuffer block) {
    return isNamed(block) ? block.slice(NAME.length, block.limit() - NAME.length) : block;
  }

  /** Of the first directory. */
  private static int ofTiff(ByteBuffer block) {
    int head = block.getInt(0);
    if (head != TIFF_LITTLE && head != TIFF_BIG) {
      return 0;
    }
    block.order(head == TIFF_LITTLE ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    int directory = block.getInt(4);
    int entries = Short.toUnsignedInt(block.getShort(directory));
    for (int i = 0; i < entries; i++) {
      int entry = directory + 2 + i * ENTRY_BYTES;
      if (block.getShort(entry) == ORIENTATION) {
        return value(block, block.getShort(entry + 2), entry + 8);
      }
    }
    return 0;
  }

  private static int value(ByteBuffer block, int type, int at) {
    return switch (type) {
      case BYTE -> block.get(at);
      case SHORT -> block.getShort(at);
      case LONG -> block.getInt(at);
      default -> 0;
    };
  }
}
