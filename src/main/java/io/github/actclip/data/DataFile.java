package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Resources;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * An open file whose content is not trusted.
 *
 * @param name what errors call it
 * @param length its bytes
 * @param in its content, buffered; supports {@code mark}
 */
record DataFile(String name, long length, InputStream in) implements Closeable {

  /** Opens a file after checking that it is one, so that no pipe or device is ever waited for. */
  static DataFile open(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw ActclipException.badInput(
          Files.exists(file) ? "%s is not a regular file" : "%s is missing", file);
    }
    if (!Files.isReadable(file)) {
      throw withoutPermission(file);
    }
    long length = Files.size(file);
    if (length == 0) {
      throw ActclipException.badInput("%s is empty", file);
    }
    return new DataFile(
        file.toString(), length, new BufferedInputStream(Files.newInputStream(file)));
  }

  /** Opens a file of this library's. */
  static DataFile resource(String name) {
    return of(name, Resources.read(DataFile.class.getResource(name)));
  }

  /** Shows what was read before. */
  static DataFile of(String name, byte[] content) {
    return new DataFile(name, content.length, new ByteArrayInputStream(content));
  }

  /** What to throw where reading failed: bad input only where there is nothing for us to read. */
  static ActclipException unreadable(Path file, IOException e) {
    if (e instanceof NoSuchFileException) {
      return ActclipException.badInput("%s is missing", file);
    }
    if (e instanceof AccessDeniedException) {
      return withoutPermission(file);
    }
    return ActclipException.failure(e, "%s cannot be read: %s", file, e.getMessage());
  }

  private static ActclipException withoutPermission(Path file) {
    return ActclipException.badInput("%s cannot be read: permission is missing", file);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
