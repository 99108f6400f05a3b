package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * The images in the folders of a folder, of which each has those of a class. Nothing is decoded.
 *
 * @param classes the names of the folders, in their order
 * @param files class by class, and in the order of their names
 */
record ClassFolders(List<String> classes, List<Entry> files) {

  /** What systems put beside what people put there; and all that begins with a dot. */
  private static final Set<String> NOT_OF_PEOPLE =
      Set.of("thumbs.db", "desktop.ini", "__macosx", "@eadir");

  /** So much of the end of each file is in the checksum. */
  private static final int END_BYTES = 4096;

  private static final Set<String> SPLITS = Set.of("train", "test", "val", "valid", "validation");

  /**
   * An image.
   *
   * @param name in the folder of all classes, with slashes on every system
   * @param label the number of its class
   */
  record Entry(Path path, String name, long bytes, int label) {}

  /** All classes that there are, by name. */
  static ClassFolders of(Path folder) {
    List<Path> folders = folders(folder);
    List<String> classes = folders.stream().map(DataFolder::nameOf).toList();
    if (SPLITS.containsAll(classes)) {
      throw ActclipException.badInput(
          "%s holds %s, which are parts of a data set and no classes: give one of them",
          DataFolder.shown(folder), DataFolder.listed(folders));
    }
    if (classes.stream().distinct().count() < classes.size()) {
      throw ActclipException.badInput(
          "%s holds two folders whose names this JVM reads the same, %s: set a UTF-8 locale, such as"
              + " LC_ALL=C.UTF-8",
          DataFolder.shown(folder), DataFolder.listed(folders));
    }
    return read(folders, folder, classes);
  }

  /** Only those classes, by their numbers. */
  static ClassFolders like(Path folder, List<String> classes) {
    List<Path> folders = folders(folder);
    for (Path inside : folders) {
      if (!classes.contains(DataFolder.nameOf(inside))) {
        throw ActclipException.badInput(
            "%s is none of the %d classes %s",
            DataFolder.shown(inside), classes.size(), CsvFile.listed(classes));
      }
    }
    return read(folders, folder, classes);
  }

  private static List<Path> folders(Path folder) {
    DataFolder.requireReadable(folder);
    List<Path> folders =
        DataFolder.list(folder).stream()
            .filter(ClassFolders::isOfPeople)
            .filter(Files::isDirectory)
            .sorted(Comparator.comparing(DataFolder::nameOf))
            .toList();
    if (folders.isEmpty()) {
      throw ActclipException.badInput(
          "%s holds no folder; there has to be one for each class, with its images: %s",
          DataFolder.shown(folder), DataFolder.contents(folder));
    }
    return folders;
  }

  private static ClassFolders read(List<Path> folders, Path all, List<String> classes) {
    List<Entry> files = new ArrayList<>();
    for (Path folder : folders) {
      ImageFinder finder = new ImageFinder(all, classes.indexOf(DataFolder.nameOf(folder)));
      try {
        Files.walkFileTree(
            folder, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, finder);
      } catch (IOException e) {
        throw ActclipException.badInput(
            "%s cannot be read: %s", DataFolder.shown(folder), e.toString());
      }
      files.addAll(finder.found(folder));
    }
    return new ClassFolders(classes, List.copyOf(files));
  }

  /** That of a class, of files in it, and of such in a folder there. */
  private static final int DEPTH = 3;

  /** Whether files in folders there have names of images; that nothing reads them is for others. */
  static boolean areIn(Path folder) {
    if (!Files.isDirectory(folder)) {
      return false;
    }
    Set<String> suffixes = ImageFinder.suffixes();
    try (Stream<Path> files = Files.walk(folder, DEPTH, FileVisitOption.FOLLOW_LINKS)) {
      return files
          .filter(file -> !folder.equals(file) && !folder.equals(file.getParent()))
          .anyMatch(
              file -> suffixes.contains(ForeignFormat.suffix(file)) || ForeignFormat.isImage(file));
    } catch (IOException | UncheckedIOException e) {
      throw ActclipException.badInput(
          "%s cannot be read: %s", DataFolder.shown(folder), e.getMessage());
    }
  }

  /** Decodes what is seen of an image. */
  FramedImage decode(int index, Frame frame) {
    return FramedImage.read(files.get(index).path(), frame);
  }

  /** Of the names of the classes, and of each file's name, size and end. */
  long checksum() {
    CRC32C crc = new CRC32C();
    classes.forEach(name -> crc.update((name + '\n').getBytes(StandardCharsets.UTF_8)));
    files.forEach(file -> update(crc, file));
    return crc.getValue();
  }

  private static void update(CRC32C crc, Entry file) {
    crc.update((file.name() + '\n' + file.bytes() + '\n').getBytes(StandardCharsets.UTF_8));
    try (SeekableByteChannel channel = Files.newByteChannel(file.path())) {
      ByteBuffer end = ByteBuffer.allocate(END_BYTES);
      channel.position(Math.max(0, channel.size() - END_BYTES));
      while (end.hasRemaining() && channel.read(end) >= 0) {
        continue;
      }
      crc.update(end.flip());
    } catch (IOException e) {
      throw ActclipException.badInput(
          "%s cannot be read: %s", DataFolder.shown(file.path()), e.getMessage());
    }
  }

  static boolean isOfPeople(Path path) {
    String name = DataFolder.nameOf(path).toLowerCase(Locale.ROOT);
    return !name.startsWith(".") && !NOT_OF_PEOPLE.contains(name);
  }
}
