package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import java.io.IOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import org.apache.logging.log4j.Logger;

/** Finds the images of a class, in every depth. */
final class ImageFinder extends SimpleFileVisitor<Path> {

  private static final Logger LOG = Loggers.of(ImageFinder.class);

  private final Set<String> suffixes = suffixes();
  private final Path all;
  private final int label;
  private final List<ClassFolders.Entry> found = new ArrayList<>();
  private final List<Path> others = new ArrayList<>();

  ImageFinder(Path all, int label) {
    this.all = all;
    this.label = label;
  }

  /** How the names of files end that are read, in lower case. */
  static Set<String> suffixes() {
    return Arrays.stream(ImageIO.getReaderFileSuffixes())
        .map(suffix -> suffix.toLowerCase(Locale.ROOT))
        .collect(Collectors.toSet());
  }

  /** The images, by name. */
  List<ClassFolders.Entry> found(Path folder) {
    if (found.isEmpty()) {
      throw ActclipException.badInput(
          "%s has no image for its class: %s",
          DataFolder.shown(folder),
          others.isEmpty() ? "there is no file" : "no reader for " + listed());
    }
    if (!others.isEmpty()) {
      LOG.warn(
          "{} has files that are not read, for ImageIO has no reader of such a name: {}",
          DataFolder.shown(folder),
          listed());
    }
    found.sort(Comparator.comparing(ClassFolders.Entry::name));
    return found;
  }

  /** Those that are not read, and what to do about the first that is known. */
  private String listed() {
    String advice =
        others.stream()
            .flatMap(file -> ForeignFormat.of(file).map(is -> advice(file, is)).stream())
            .findFirst()
            .orElse("");
    return DataFolder.listed(others.stream().map(Path::getFileName).toList()) + advice;
  }

  private static String advice(Path file, String is) {
    return "; " + DataFolder.shown(file.getFileName()) + " " + is;
  }

  @Override
  public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
    return ClassFolders.isOfPeople(folder)
        ? FileVisitResult.CONTINUE
        : FileVisitResult.SKIP_SUBTREE;
  }

  @Override
  public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
    if (ClassFolders.isOfPeople(file) && !suffixes.contains(ForeignFormat.suffix(file))) {
      others.add(file);
    } else if (ClassFolders.isOfPeople(file)) {
      requireContent(file, attributes);
      String inside = all.relativize(file).toString().replace('\\', '/');
      found.add(new ClassFolders.Entry(file, inside, attributes.size(), label));
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
                  : attributes.size() == 0 ? "is empty" : "cannot be read: permission is missing");
    }
  }

  @Override
  public FileVisitResult visitFileFailed(Path file, IOException e) {
    throw e instanceof FileSystemLoopException
        ? ActclipException.badInput(
            "%s cannot be read: it is a link to a folder that it is in", DataFolder.shown(file))
        : DataFile.unreadable(file, e);
  }
}
