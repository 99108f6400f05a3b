package io.github.actclip.report;

import io.github.actclip.io.AtomicFile;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.logging.log4j.Logger;

/**
 * A file that grows while a training runs. A record is in it as soon as it was added. One that
 * cannot be written, as on a full disk, is a warning in the log and the end of the file: the
 * training goes on.
 */
final class RecordFile implements AutoCloseable {

  private static final Logger LOG = Loggers.of(RecordFile.class);

  private final Path file;
  private OutputStream out;

  /**
   * Opens a file to write after its end, and makes it where there is none.
   *
   * @throws ActclipException a failure when it cannot be opened
   */
  RecordFile(Path file) {
    this.file = file;
    try {
      out = Files.newOutputStream(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be written: %s", file, AtomicFile.reason(e));
    }
  }

  void add(byte[] record) {
    try {
      out.write(record); // Without a buffer: there is nothing to flush.
    } catch (IOException e) {
      LOG.warn("{} ends here, and the training goes on: {}", file, AtomicFile.reason(e));
      close();
      out = OutputStream.nullOutputStream();
    }
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      LOG.warn("{} cannot be closed: {}", file, AtomicFile.reason(e));
    }
  }
}
