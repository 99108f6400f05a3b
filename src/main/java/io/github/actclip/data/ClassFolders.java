package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.zip.CRC32C;
import javax.imageio.ImageIO;
import org.apache.logging.log4j.Logger;

/**
 * The images in the folders of a folder, of which each has those of a class. Nothing is decoded.
 *
 * @param classes the names of the folders, in their order
 * @param files class by class, and in the order of their names
 */
record ClassFolders(List<String> classes, List<Entry> files) {

  private static final Logger LOG = Loggers.of(ClassFolders.class);

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
      Finder finder = new Finder(all, classes.indexOf(DataFolder.nameOf(folder)));
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

  private static boolean isOfPeople(Path path) {
    String name = DataFolder.nameOf(path).toLowerCase(Locale.ROOT);
    return !name.startsWith(".") && !NOT_OF_PEOPLE.contains(name);
  }

  /** Finds the images of a class, in every depth. */
  private static final class Finder extends SimpleFileVisitor<Path> {

    private final Set<String> suffixes =
        Arrays.stream(ImageIO.getReaderFileSuffixes())
            .map(suffix -> suffix.toLowerCase(Locale.ROOT))
            .collect(Collectors.toSet());

    private final Path all;
    private final int label;
    private final List<Entry> found = new ArrayList<>();
    private final List<Path> others = new ArrayList<>();

    Finder(Path all, int label) {
      this.all = all;
      this.label = label;
    }

    /** The images, by name. */
    List<Entry> found(Path folder) {
      if (found.isEmpty()) {
        throw ActclipException.badInput(
            "%s has no image for its class: %s",
            DataFolder.shown(folder),
            others.isEmpty() ? "there is no file" : "no reader for " + DataFolder.listed(others));
      }
      if (!others.isEmpty()) {
        LOG.warn(
            "{} has files that are not read, for ImageIO has no reader of such a name: {}",
            DataFolder.shown(folder),
            DataFolder.listed(others));
      }
      found.sort(Comparator.comparing(Entry::name));
      return found;
    }

    @Override
    public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
      return isOfPeople(folder) ? FileVisitResult.CONTINUE : FileVisitResult.SKIP_SUBTREE;
    }

    @Override
    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
      String name = DataFolder.nameOf(file);
      String suffix = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
      if (isOfPeople(file) && !suffixes.contains(suffix)) {
        others.add(file.getFileName());
      } else if (isOfPeople(file)) {
        requireContent(file, attributes);
        String inside = all.relativize(file).toString().replace('\\', '/');
        found.add(new Entry(file, inside, attributes.size(), label));
      }
      return FileVisitResult.CONTINUE;
    }

    private static void requireContent(Path file, BasicFileAttributes attributes) {
      if (!attributes.isRegularFile() || attributes.size() == 0 || !Files.isReadable(file)) {
        throw ActclipException.badInput(
            "%s %s",
            DataFolder.shown(file),
            attributes.isSymbolicLink()
                ? "is a link to nothing"
                : !attributes.isRegularFile()
                    ? "is not a regular file"
                    : attributes.size() == 0
                        ? "is empty"
                        : "cannot be read: permission is missing");
      }
    }

    @Override
    public FileVisitResult visitFileFailed(Path file, IOException e) {
      throw ActclipException.badInput(
          "%s cannot be read: %s",
          DataFolder.shown(file),
          e instanceof FileSystemLoopException
              ? "it is a link to a folder that it is in"
              : e.toString());
    }
  }
}
