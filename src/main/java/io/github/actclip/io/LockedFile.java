package io.github.actclip.io;

import io.github.actclip.runtime.Internal;
import java.io.Closeable;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A file that one writer has, of all threads and processes: until this is closed, or the process
 * ends, however it does. An interrupt of a thread neither closes nor unlocks it.
 *
 * <p>{@link #open} may be called from any thread; an open file belongs to one.
 */
@Internal
public final class LockedFile implements Closeable {

  /**
   * What this process has open. POSIX ends a process's lock on a file when the process closes any
   * handle of that file, so there must never be a second one.
   */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path file;
  private final FileOutputStream out;
  private final boolean locked;

  private LockedFile(Path file, FileOutputStream out, boolean locked) {
    this.file = file;
    this.out = out;
    this.locked = locked;
  }

  /**
   * Opens a file to write after its end, and makes it where there is none.
   *
   * @return empty when another writer has it
   * @throws IOException when it cannot be opened
   */
  public static Optional<LockedFile> open(Path file) throws IOException {
    Path absolute = file.toAbsolutePath();
    Path real = absolute.getParent().toRealPath().resolve(absolute.getFileName());
    if (!HELD.add(real)) {
      return Optional.empty();
    }
    Optional<LockedFile> opened = Optional.empty();
    try {
      // Its exceptions name the reason; those of FileOutputStream do not.
      Files.newOutputStream(real, StandardOpenOption.CREATE, StandardOpenOption.APPEND).close();
      opened = lock(real, new FileOutputStream(real.toFile(), true));
    } finally {
      if (opened.isEmpty()) {
        HELD.remove(real);
      }
    }
    return opened;
  }

  private static Optional<LockedFile> lock(Path file, FileOutputStream out) throws IOException {
    FileLock lock;
    try {
      lock = out.getChannel().tryLock();
    } catch (OverlappingFileLockException e) { // of this process, by another class loader
      out.close();
      return Optional.empty();
    } catch (IOException e) { // Some file systems of a network have no locks.
      return Optional.of(new LockedFile(file, out, false));
    }
    if (lock == null) {
      out.close();
      return Optional.empty();
    }
    return Optional.of(new LockedFile(file, out, true));
  }

  /** Whether the file system keeps other processes away; some of a network cannot. */
  public boolean isLocked() {
    return locked;
  }

  /** Where the file's content goes, without a buffer. */
  OutputStream out() {
    return out;
  }

  /** Flushes the content to the disk. */
  void sync() throws IOException {
    out.getFD().sync();
  }

  /** Gives the file another name, in place of a file that has it; to be closed then. */
  void moveTo(Path target) throws IOException {
    unlockWhereOpenFilesStay();
    Files.move(file, target, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Deletes the file if it is still there; to be closed then. */
  void delete() throws IOException {
    unlockWhereOpenFilesStay();
    Files.deleteIfExists(file);
  }

  /** Windows neither moves nor deletes what is open. */
  private void unlockWhereOpenFilesStay() throws IOException {
    if (File.separatorChar != '/') {
      out.close();
    }
  }

  /** Lets another writer have the file. */
  @Override
  public void close() throws IOException {
    try {
      out.close();
    } finally {
      HELD.remove(file);
    }
  }
}
