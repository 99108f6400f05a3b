package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Finds files where downloads and unpackers leave them. */
final class DataFolder {

  /** How far below the folder that is named: torchvision's are in {@code MNIST/raw}. */
  private static final int DEPTH = 2;

  private static final int MOST_LISTED = 8;

  /** What people have that cannot be read, and what to do about it. */
  private enum Unread {
    CIFAR_10_PYTHON(
        "cifar-10-batches-py|data_batch_[1-9]|test_batch",
        "is of CIFAR-10's Python version, a pickle, which is a program: download the binary version,"
            + " cifar-10-binary.tar.gz"),
    CIFAR_100(
        "cifar-100.*", "is of CIFAR-100, which has 100 classes: of CIFAR, only CIFAR-10 is read"),
    EMNIST(
        "emnist-.*",
        "is of EMNIST, whose images are transposed, and mostly of more than 10 classes: it is not"
            + " read"),
    CSV(
        ".*\\.csv",
        "is CSV, which is not read as images: download the IDX files or CIFAR-10's binary ones"),
    ARCHIVE(".*\\.(zip|tar|tgz|gz|7z|rar)", "is packed: unpack it");

    private final Pattern name;
    private final String advice;

    Unread(String name, String advice) {
      this.name = Pattern.compile(name, Pattern.CASE_INSENSITIVE);
      this.advice = advice;
    }

    private Optional<String> adviceOn(List<Path> entries) {
      return entries.stream()
          .filter(entry -> name.matcher(nameOf(entry)).matches())
          .findFirst()
          .map(entry -> shown(entry.toString()) + " " + advice);
    }
  }

  private DataFolder() {}

  /** Refuses what is no folder, or one that cannot be looked into. */
  static void requireReadable(Path folder) {
    if (Files.notExists(folder)) {
      throw ActclipException.badInput("The data folder %s does not exist", folder);
    }
    if (!Files.isDirectory(folder)) {
      throw ActclipException.badInput(
          "%s is not a folder; give the one that the data is in", folder);
    }
    if (!Files.isReadable(folder)) {
      throw ActclipException.badInput(
          "The data folder %s cannot be read: permission is missing", folder);
    }
  }

  /**
   * The folder itself, or else the one below it, at most {@value #DEPTH} further down, that holds
   * data. Where several do, the one that holds what is wanted.
   *
   * @param what the data, for the message
   * @throws ActclipException bad input when there is none, or more than one
   */
  static Path home(Path folder, Predicate<Path> holds, Predicate<Path> wanted, String what) {
    if (holds.test(folder)) {
      return folder;
    }
    List<Path> homes = new ArrayList<>();
    List<Path> seen = new ArrayList<>();
    List<Path> level = List.of(folder);
    for (int depth = 1; depth <= DEPTH; depth++) {
      List<Path> entries = level.stream().flatMap(parent -> list(parent).stream()).toList();
      seen.addAll(entries);
      Map<Boolean, List<Path>> folders =
          entries.stream()
              .filter(Files::isDirectory)
              .filter(Files::isReadable)
              .collect(Collectors.partitioningBy(holds));
      homes.addAll(folders.get(true));
      level = folders.get(false);
    }
    if (!homes.isEmpty()) {
      return homes.size() == 1 ? homes.get(0) : only(folder, homes, wanted);
    }
    throw ActclipException.badInput(
        "%s has neither %s, nor do the folders in it; %s",
        folder,
        what,
        Stream.of(Unread.values())
            .flatMap(format -> format.adviceOn(seen).stream())
            .findFirst()
            .or(() -> unusable(seen))
            .orElse(contents(folder)));
  }

  /** What may have the right name, and cannot be looked into. */
  private static Optional<String> unusable(List<Path> entries) {
    return entries.stream()
        .filter(entry -> !Files.isReadable(entry))
        .findFirst()
        .map(
            entry ->
                shown(entry.toString())
                    + (Files.exists(entry)
                        ? " cannot be read: permission is missing"
                        : " is a link to nothing"));
  }

  private static Path only(Path folder, List<Path> homes, Predicate<Path> wanted) {
    List<Path> fitting = homes.stream().filter(wanted).toList();
    if (fitting.size() != 1) {
      throw ActclipException.badInput(
          "%s holds several data sets: name one of %s", folder, listed(homes));
    }
    return fitting.get(0);
  }

  /**
   * The first regular file that has one of the names, in upper or lower case: in the folder, or
   * else in a folder in it that has such a name itself, as some unpackers make it.
   */
  static Optional<Path> find(Path folder, List<String> names) {
    return names(folder, names)
        .filter(Files::isRegularFile)
        .findFirst()
        .or(
            () ->
                names(folder, names)
                    .filter(Files::isDirectory)
                    .filter(Files::isReadable)
                    .flatMap(inside -> names(inside, names))
                    .filter(Files::isRegularFile)
                    .findFirst());
  }

  /** Like {@link #find}, but there must be one. */
  static Path require(Path folder, List<String> names) {
    return find(folder, names).orElseThrow(() -> missing(folder, names));
  }

  private static ActclipException missing(Path folder, List<String> names) {
    return names(folder, names)
        .findFirst()
        .map(
            entry ->
                ActclipException.badInput(
                    "%s is not a regular file, nor a folder that holds one of its name", entry))
        .orElseGet(
            () ->
                ActclipException.badInput(
                    "%s is missing%s; %s",
                    folder.resolve(names.get(0)), otherNames(names), contents(folder)));
  }

  private static String otherNames(List<String> names) {
    return names.size() == 1
        ? ""
        : ", and so are " + String.join(", ", names.subList(1, names.size()));
  }

  /** What is in the folder under these names, in their order; a name as it is first. */
  private static Stream<Path> names(Path folder, List<String> names) {
    List<Path> entries = list(folder);
    return names.stream()
        .flatMap(
            name ->
                entries.stream()
                    .filter(entry -> nameOf(entry).equalsIgnoreCase(name))
                    .sorted(Comparator.comparing(entry -> !nameOf(entry).equals(name))));
  }

  /** Everything in the folder, by name. */
  static List<Path> list(Path folder) {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.sorted().toList();
    } catch (IOException | UncheckedIOException e) {
      throw ActclipException.badInput("%s cannot be read: %s", folder, e.getMessage());
    }
  }

  static String nameOf(Path entry) {
    return entry.getFileName().toString();
  }

  static String contents(Path folder) {
    List<Path> entries = list(folder);
    return entries.isEmpty()
        ? "the folder is empty"
        : "the folder holds " + listed(entries.stream().map(Path::getFileName).toList());
  }

  static String listed(List<Path> paths) {
    String first =
        paths.stream()
            .limit(MOST_LISTED)
            .map(path -> shown(path.toString()))
            .collect(Collectors.joining(", "));
    int more = paths.size() - MOST_LISTED;
    return more > 0 ? first + " and " + more + " more" : first;
  }

  /** On one line, whatever the name. */
  static String shown(Path path) {
    return shown(path.toString());
  }

  private static String shown(String name) {
    return name.replaceAll("\\p{Cntrl}", "?");
  }
}
