package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** Reads CIFAR-10's binary version: records of a label byte and three planes of 32×32 bytes. */
final class Cifar10Files {

  private static final PixelFormat FORMAT = PixelFormat.RGB_32_PLANES;
  private static final int RECORD_BYTES = 1 + FORMAT.bytes;
  private static final String TRAIN_FILE = "data_batch_[1-9][0-9]*\\.bin";
  private static final String TEST_FILE = "test_batch.bin";

  /** The order of the numbers, since no number starts with a zero. */
  private static final Comparator<String> BY_NUMBER =
      Comparator.comparing(String::length).thenComparing(Comparator.naturalOrder());

  private record Part(Path path, long images) {}

  private Cifar10Files() {}

  /** Whether a folder, or its usual subfolder, has any file that is named like this format's. */
  static boolean areIn(Path folder) {
    Path home = home(folder);
    return Files.exists(home.resolve(TEST_FILE)) || !trainFiles(home).isEmpty();
  }

  static ImageDataset read(Path folder, Split split) {
    Path home = home(folder);
    List<Path> files = split == Split.TRAIN ? trainFiles(home) : List.of(home.resolve(TEST_FILE));
    if (files.isEmpty()) {
      throw ActclipException.badInput("%s is missing", home.resolve("data_batch_1.bin"));
    }
    List<Part> parts = files.stream().map(Cifar10Files::measure).toList();
    long images = parts.stream().mapToLong(Part::images).sum();
    if (images > FORMAT.maxImages()) {
      throw ActclipException.badInput(
          "%s has %d images; it can have 1 to %d", home, images, FORMAT.maxImages());
    }
    return read(folder, parts, (int) images);
  }

  private static Path home(Path folder) {
    Path inside = folder.resolve("cifar-10-batches-bin");
    return Files.isDirectory(inside) ? inside : folder;
  }

  private static List<Path> trainFiles(Path home) {
    try (Stream<Path> files = Files.list(home)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.matches(TRAIN_FILE))
          .sorted(BY_NUMBER)
          .map(home::resolve)
          .toList();
    } catch (IOException e) {
      throw ActclipException.badInput("%s cannot be read: %s", home, e.getMessage());
    }
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
      throw ActclipException.badInput("%s cannot be read: %s", path, e.getMessage());
    }
  }

  private static ImageDataset read(Path folder, List<Part> parts, int images) {
    byte[] pixels = new byte[images * FORMAT.bytes];
    byte[] labels = new byte[images];
    int next = 0;
    for (Part part : parts) {
      read(part, pixels, labels, next);
      next += (int) part.images();
    }
    return new ImageDataset(ImageDataset.source(folder), "CIFAR-10 images", FORMAT, pixels, labels);
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
      throw ActclipException.badInput("%s cannot be read: %s", part.path(), e.getMessage());
    }
  }
}
