package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * Writes a file so that its final name never holds half of it: the content goes to a file beside
 * it, is flushed to the disk, and is renamed.
 */
public final class AtomicFile {

  private static final int BUFFER_BYTES = 1 << 16;

  private AtomicFile() {}

  /** Writes the content of one file. */
  @FunctionalInterface
  public interface Writer {

    /** Writes everything to {@code out}, which the caller closes. */
    void writeTo(OutputStream out) throws IOException;
  }

  /**
   * Replaces {@code file} by what {@code writer} writes, or leaves it as it was.
   *
   * @throws ActclipException a failure, naming the file, when it cannot be written
   */
  public static void write(Path file, Writer writer) {
    Path target = file.toAbsolutePath();
    Path partial = target.resolveSibling("." + target.getFileName() + ".part");
    try {
      writeAndSync(partial, writer);
      Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
      syncFolder(target.getParent());
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", file, reason(e));
    } finally {
      deleteQuietly(partial);
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

  private static void writeAndSync(Path partial, Writer writer) throws IOException {
    try (FileChannel channel =
        FileChannel.open(
            partial,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel), BUFFER_BYTES);
      writer.writeTo(out);
      out.flush();
      channel.force(true);
    }
  }

  /** Else the new name may be gone after a power failure. Windows has no such thing. */
  private static void syncFolder(Path folder) throws IOException {
    if (File.separatorChar == '/') {
      try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
        channel.force(true);
      }
    }
  }

  private static void deleteQuietly(Path partial) {
    try {
      Files.deleteIfExists(partial);
    } catch (IOException e) {
      // The failure that left it there is already on its way to the caller.
    }
  }
}
