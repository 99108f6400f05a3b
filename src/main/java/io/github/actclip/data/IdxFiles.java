package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/** Reads MNIST's format: a big-endian header, then bytes; one file of images, one of labels. */
final class IdxFiles {

  private static final PixelFormat FORMAT = PixelFormat.GREY_28;

  /** Deflate cannot do better: 258 bytes from two bits. */
  private static final int MAX_COMPRESSION = 1032;

  private static final String GZIP = ".gz";

  private enum Kind {
    IMAGES("images", 3, FORMAT.bytes),
    LABELS("labels", 1, 1);

    final String what;
    final int dimensions;
    final int itemBytes;

    Kind(String what, int dimensions, int itemBytes) {
      this.what = what;
      this.dimensions = dimensions;
      this.itemBytes = itemBytes;
    }

    int headerBytes() {
      return Integer.BYTES * (1 + dimensions);
    }

    /** Unsigned bytes (8), and the number of dimensions. */
    int magic() {
      return 0x0800 | dimensions;
    }

    String fileName(Split split) {
      return fileName(split, "-");
    }

    /** The names that the file is looked for by, in that order. */
    List<String> fileNames(Split split) {
      return Stream.of("-", ".")
          .map(separator -> fileName(split, separator))
          .flatMap(name -> Stream.of(name, name + GZIP))
          .toList();
    }

    private String fileName(Split split, String separator) {
      String prefix = split == Split.TRAIN ? "train" : "t10k";
      return prefix + "-" + what + separator + "idx" + dimensions + "-ubyte";
    }
  }

  private IdxFiles() {}

  /** Whether a folder has any file of this split that is named like one of this format. */
  static boolean areIn(Path folder, Split split) {
    return Stream.of(Kind.values())
        .anyMatch(kind -> DataFolder.find(folder, kind.fileNames(split)).isPresent());
  }

  /**
   * Reads the two files of a split.
   *
   * @param source where the images are said to be from
   */
  static ImageDataset read(Path folder, Split split, String source) {
    Path imagesFile = DataFolder.require(folder, Kind.IMAGES.fileNames(split));
    Path labelsFile = DataFolder.require(folder, Kind.LABELS.fileNames(split));
    byte[] images = read(imagesFile, Kind.IMAGES);
    byte[] labels = read(labelsFile, Kind.LABELS);
    int count = images.length / FORMAT.bytes;
    if (labels.length != count) {
      throw ActclipException.badInput(
          "%s has %d labels for the %d images of %s", labelsFile, labels.length, count, imagesFile);
    }
    for (int i = 0; i < count; i++) {
      ImageDataset.checkLabel(labelsFile, i, labels[i]);
    }
    return new ImageDataset(source, "IDX images", FORMAT, images, labels);
  }

  static ImageDataset embedded(Split split) {
    return new ImageDataset(
        ImageDataset.EMBEDDED,
        "Fashion-MNIST subset (embedded)",
        FORMAT,
        readResource(split, Kind.IMAGES),
        readResource(split, Kind.LABELS));
  }

  private static byte[] readResource(Split split, Kind kind) {
    try (DataFile file = DataFile.resource("fashion-mnist/" + kind.fileName(split) + GZIP)) {
      return read(file, kind);
    } catch (IOException e) {
      throw ActclipException.failure(e, "The embedded images cannot be read: %s", e.getMessage());
    }
  }

  private static byte[] read(Path path, Kind kind) {
    try (DataFile file = DataFile.open(path)) {
      return read(file, kind);
    } catch (ZipException | EOFException e) {
      throw ActclipException.badInput("%s is not a sound gzip file: %s", path, e.getMessage());
    } catch (StackOverflowError e) {
      // GZIPInputStream calls itself for each member that is empty.
      throw ActclipException.badInput("%s is not a sound gzip file: too many empty parts", path);
    } catch (IOException e) {
      throw DataFile.unreadable(path, e);
    }
  }

  private static byte[] read(DataFile file, Kind kind) throws IOException {
    boolean compressed = isGzip(file.in());
    InputStream in = compressed ? new GZIPInputStream(file.in()) : file.in();
    int bytes = readHeader(file.name(), in, kind) * kind.itemBytes;
    long total = (long) kind.headerBytes() + bytes;
    if (compressed) {
      checkCompressedLength(file, total);
    } else {
      checkLength(file, total);
    }
    byte[] items = new byte[bytes];
    int got = in.readNBytes(items, 0, bytes);
    // Going on to the end is also what makes GZIPInputStream check its checksum.
    if (got < bytes || in.read() >= 0) {
      throw ActclipException.badInput(
          "%s has %s than the %d bytes that its header promises",
          file.name(), got < bytes ? "less" : "more", total);
    }
    return items;
  }

  private static boolean isGzip(InputStream in) throws IOException {
    in.mark(2);
    boolean gzip = in.read() == 0x1f && in.read() == 0x8b;
    in.reset();
    return gzip;
  }

  /** Returns the number of items, at least one and few enough to be held. */
  private static int readHeader(String name, InputStream in, Kind kind) throws IOException {
    byte[] bytes = in.readNBytes(kind.headerBytes());
    if (bytes.length < kind.headerBytes()) {
      throw ActclipException.badInput(
          "%s ends after %d bytes, within its header of %d bytes",
          name, bytes.length, kind.headerBytes());
    }
    ByteBuffer header = ByteBuffer.wrap(bytes);
    int magic = header.getInt();
    if (magic != kind.magic()) {
      throw ActclipException.badInput(
          "%s starts with 0x%08x; IDX %s start with 0x%08x", name, magic, kind.what, kind.magic());
    }
    int count = header.getInt();
    if (count < 1 || count > FORMAT.maxImages()) {
      throw ActclipException.badInput(
          "%s promises %d %s in its header; it can be 1 to %d",
          name, Integer.toUnsignedLong(count), kind.what, FORMAT.maxImages());
    }
    if (kind == Kind.IMAGES) {
      checkDimensions(name, header.getInt(), header.getInt());
    }
    return count;
  }

  private static void checkDimensions(String name, int rows, int columns) {
    if (rows != 28 || columns != 28) {
      throw ActclipException.badInput(
          "%s has images of %sx%s pixels; 28x28 is right",
          name, Integer.toUnsignedString(rows), Integer.toUnsignedString(columns));
    }
  }

  private static void checkLength(DataFile file, long total) {
    if (file.length() != total) {
      throw ActclipException.badInput(
          "%s is %d bytes long; its header promises %d bytes", file.name(), file.length(), total);
    }
  }

  private static void checkCompressedLength(DataFile file, long total) {
    if (file.length() * MAX_COMPRESSION < total) {
      throw ActclipException.badInput(
          "%s is %d bytes long, too short for the %d bytes that its header promises",
          file.name(), file.length(), total);
    }
  }
}
