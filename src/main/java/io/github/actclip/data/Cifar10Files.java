package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/** Reads CIFAR-10's binary version: records of a label byte and three planes of 32×32 bytes. */
final class Cifar10Files {

  private static final PixelFormat FORMAT = PixelFormat.RGB_32_PLANES;
  private static final int RECORD_BYTES = 1 + FORMAT.bytes;
  private static final String TRAIN_FILE = "data_batch_[1-9][0-9]*\\.bin";
  private static final String FIRST_TRAIN_FILE = "data_batch_1.bin";
  private static final String TEST_FILE = "test_batch.bin";

  /** The order of the numbers, since no number starts with a zero. */
  private static final Comparator<String> BY_NUMBER =
      Comparator.comparing(String::length).thenComparing(Comparator.naturalOrder());

  private record Part(Path path, long images) {}

  private Cifar10Files() {}

  /** Whether a folder has any file of this split that is named like one of this format. */
  static boolean areIn(Path folder, Split split) {
    return names(folder, split).stream()
        .anyMatch(name -> DataFolder.find(folder, List.of(name)).isPresent());
  }

  /**
   * Reads the files of a split.
   *
   * @param source where the images are said to be from
   */
  static ImageDataset read(Path folder, Split split, String source) {
    List<Path> files =
        names(folder, split).stream()
            .map(name -> DataFolder.require(folder, List.of(name)))
            .toList();
    List<Part> parts = files.stream().map(Cifar10Files::measure).toList();
    long images = parts.stream().mapToLong(Part::images).sum();
    if (images > FORMAT.maxImages()) {
      throw ActclipException.badInput(
          "%s has %d images; it can have 1 to %d", folder, images, FORMAT.maxImages());
    }
    return read(source, parts, (int) images);
  }

  /** What the files are called: all that are there to train on, or the first that should be. */
  private static List<String> names(Path folder, Split split) {
    if (split == Split.TEST) {
      return List.of(TEST_FILE);
    }
    List<String> names =
        DataFolder.list(folder).stream()
            .map(entry -> DataFolder.nameOf(entry).toLowerCase(Locale.ROOT))
            .filter(name -> name.matches(TRAIN_FILE))
            .distinct()
            .sorted(BY_NUMBER)
            .toList();
    return names.isEmpty() ? List.of(FIRST_TRAIN_FILE) : names;
  }

  private static Part measure(Path path) {
    try (DataFile file = DataFile.open(path)) {
      if (file.length() % RECORD_BYTES != 0) {
        throw ActclipException.badInput(
            "%s is %d bytes long; CIFAR-10 files are whole records of %d bytes",
            path, file.length(), RECORD_BYTES);
      }
      return new Part(path, file.length() / RECORD_BYTES);
    } catch (IOException e) {
      throw DataFile.unreadable(path, e);
    }
  }

  private static ImageDataset read(String source, List<Part> parts, int images) {
    byte[] pixels = new byte[images * FORMAT.bytes];
    byte[] labels = new byte[images];
    int next = 0;
    for (Part part : parts) {
      read(part, pixels, labels, next);
      next += (int) part.images();
    }
    return new ImageDataset(source, "CIFAR-10 images", FORMAT, pixels, labels);
  }

  private static void read(Part part, byte[] pixels, byte[] labels, int first) {
    try (DataFile file = DataFile.open(part.path())) {
      for (int i = 0; i < part.images(); i++) {
        int to = first + i;
        labels[to] = (byte) file.in().read();
        ImageDataset.checkLabel(file.name(), i, labels[to]);
        int got = file.in().readNBytes(pixels, to * FORMAT.bytes, FORMAT.bytes);
        if (got < FORMAT.bytes) {
          throw ActclipException.badInput("%s became shorter while it was read", file.name());
        }
      }
    } catch (IOException e) {
      throw DataFile.unreadable(part.path(), e);
    }
  }
}
