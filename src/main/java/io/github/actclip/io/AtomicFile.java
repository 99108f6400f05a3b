package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.logging.log4j.Logger;

/**
 * Writes a file so that its final name never holds half of it: the content goes to a file beside
 * it, is flushed to the disk, and is renamed.
 *
 * <p>All methods may be called from any thread, also from one that is interrupted.
 */
public final class AtomicFile {

  private static final Logger LOG = Loggers.of(AtomicFile.class);

  private static final int BUFFER_BYTES = 1 << 16;
  private static final String PART = ".part";
  private static final int MOST_SHOWN = 40;

  /** File systems that cannot flush a folder, as far as that is known. */
  private static final Set<Object> WITHOUT_FOLDER_SYNC = ConcurrentHashMap.newKeySet();

  private AtomicFile() {}

  /** Writes the content of one file. */
  @FunctionalInterface
  public interface Writer {

    /** Writes everything to {@code out}, which the caller closes. */
    void writeTo(OutputStream out) throws IOException;
  }

  /**
   * Replaces {@code file} by what {@code writer} writes, or leaves it as it was. Where several
   * write it at once, the last one's content is there in the end, whole. A link stays, and the file
   * that it leads to is replaced. What is there and no regular file, such as a device, is refused.
   *
   * <p>On a file system that cannot flush a folder, such as CIFS or sshfs, a new file may be gone
   * after a power failure: the log says so once.
   *
   * @throws ActclipException a failure, naming the file, when it cannot be written
   */
  public static void write(Path file, Writer writer) {
    try {
      Path target = target(file);
      cleanUp(target);
      try (LockedFile part = openPart(target)) {
        writeAndMove(part, target, writer);
      }
      syncFolder(target.getParent());
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", file, reason(e));
    }
  }

  /** Replaces {@code file} by {@code text} in UTF-8, as {@link #write} does. */
  public static void writeString(Path file, String text) {
    write(file, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
  }

  /**
   * Makes a folder, and its parents, where they are not there.
   *
   * @throws ActclipException a failure, naming the folder, when it cannot be made
   */
  public static void createFolder(Path folder) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw ActclipException.failure(e, "the folder %s cannot be made: %s", folder, reason(e));
    }
  }

  /**
   * Makes a folder that is not there, and its parents. Of several that ask for one at once, each
   * gets its own.
   *
   * @return the folder, or with {@code -2}, {@code -3} and so on after its name the first that was
   *     not there
   * @throws ActclipException a failure, naming the folder, when it cannot be made
   */
  public static Path createNewFolder(Path folder) {
    createFolder(folder.toAbsolutePath().getParent());
    Path made = folder;
    for (int number = 2; true; number++) {
      try {
        return Files.createDirectory(made);
      } catch (FileAlreadyExistsException e) {
        made = folder.resolveSibling(folder.getFileName() + "-" + number);
      } catch (IOException e) {
        throw ActclipException.failure(e, "the folder %s cannot be made: %s", made, reason(e));
      }
    }
  }

  /**
   * Deletes what processes that were killed have left of files that they were writing. Those that a
   * writer still has are left alone.
   *
   * @param prefix with what the names of such files begin; a dot, and the name that the file would
   *     have got
   * @throws IOException when the folder cannot be read, or a file cannot be deleted
   */
  public static void deleteUnfinished(Path folder, String prefix) throws IOException {
    try (DirectoryStream<Path> parts =
        Files.newDirectoryStream(folder, path -> isPart(path, prefix))) {
      for (Path part : parts) {
        Optional<LockedFile> left = LockedFile.open(part);
        if (left.isPresent()) {
          try (LockedFile locked = left.get()) {
            if (locked.isLocked()) {
              locked.delete();
            }
          }
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
  }

  /** Says what went wrong where the exception's own message is only the name of the file. */
  public static String reason(IOException e) {
    if (e instanceof FileAlreadyExistsException) {
      return "a file is in the way";
    }
    if (e instanceof NoSuchFileException) {
      return "there is no such file or directory";
    }
    if (e instanceof AccessDeniedException) {
      return "permission is denied";
    }
    return e.getMessage();
  }

  /** The file that gets a new content. To rename over a device would take it from the system. */
  private static Path target(Path file) throws IOException {
    if (!Files.exists(file)) {
      return file.toAbsolutePath();
    }
    if (Files.readAttributes(file, BasicFileAttributes.class).isOther()) {
      throw new IOException("it is a device or a pipe, not a file");
    }
    return file.toRealPath();
  }

  private static boolean isPart(Path path, String prefix) {
    String name = path.getFileName().toString();
    return name.startsWith(prefix)
        && name.endsWith(PART)
        && Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS);
  }

  /** Of a long name its start, so that what is added makes it no longer than a name may be. */
  private static String hidden(Path target) {
    String name = target.getFileName().toString();
    int shown = Math.min(name.codePointCount(0, name.length()), MOST_SHOWN);
    return "." + name.substring(0, name.offsetByCodePoints(0, shown)) + ".";
  }

  private static void cleanUp(Path target) {
    try {
      deleteUnfinished(target.getParent(), hidden(target));
    } catch (IOException e) { // What is wrong with the folder is said when it is written to.
      LOG.debug("Unfinished writes of {} are left", target, e);
    }
  }

  private static LockedFile openPart(Path target) throws IOException {
    while (true) {
      Path part = target.resolveSibling(hidden(target) + UUID.randomUUID() + PART);
      Optional<LockedFile> opened = LockedFile.open(part);
      if (opened.isPresent()) {
        if (Files.exists(part)) {
          return opened.get();
        }
        opened.get().close(); // Another process cleaned it up before it was locked.
      }
    }
  }

  private static void writeAndMove(LockedFile part, Path target, Writer writer) throws IOException {
    try {
      OutputStream out = new BufferedOutputStream(part.out(), BUFFER_BYTES);
      writer.writeTo(out);
      out.flush();
      part.sync();
      part.moveTo(target);
    } finally {
      part.delete();
    }
  }

  /**
   * Else the new name may be gone after a power failure. Windows has no such thing. An interrupt
   * closes the channel, which is the only way to a folder: then once more.
   */
  static void syncFolder(Path folder) {
    boolean interrupted = false;
    try {
      for (boolean done = File.separatorChar != '/'; !done; ) {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
          channel.force(true);
          done = true;
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
        }
      }
    } catch (IOException e) {
      warnOnce(folder, e);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static void warnOnce(Path folder, IOException e) {
    if (WITHOUT_FOLDER_SYNC.add(fileSystem(folder))) {
      LOG.warn(
          "The folder {} cannot be flushed to its disk ({}): after a power failure, files that were"
              + " written last may be missing from its file system",
          folder,
          reason(e));
    }
  }

  private static Object fileSystem(Path folder) {
    try {
      return Files.getAttribute(folder, "unix:dev");
    } catch (IOException e) {
      return folder;
    }
  }
}
