package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.testing.LogCapture;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AtomicFileTest {

  /** Linux: a real folder of a file system that cannot flush it. */
  private static final Path NO_SYNC = Path.of("/proc/self");

  @TempDir Path folder;

  @Test
  void aFolderThatCannotBeFlushedIsOneWarningAndNoFailure() throws IOException {
    assumeTrue(Files.isDirectory(NO_SYNC));
    try (FileChannel channel = FileChannel.open(NO_SYNC)) {
      IOException e = assertThrows(IOException.class, () -> channel.force(true));
      assertEquals("Invalid argument", e.getMessage());
    }
    try (LogCapture log = new LogCapture(AtomicFile.class)) {
      AtomicFile.syncFolder(NO_SYNC);
      AtomicFile.syncFolder(NO_SYNC.resolve("fd"));
      assertEquals(1, log.lines().size(), log.lines().toString());
      assertTrue(
          log.lines()
              .get(0)
              .startsWith(
                  "WARN The folder /proc/self cannot be flushed to its disk (Invalid argument):"),
          log.lines().get(0));
    }
  }

  @Test
  void aLinkStaysAndItsFileIsReplaced() throws IOException {
    Path file = Files.createDirectory(folder.resolve("other")).resolve("file");
    Files.writeString(file, "old");
    Path link = Files.createSymbolicLink(folder.resolve("link"), file);
    AtomicFile.writeString(link, "new");
    assertTrue(Files.isSymbolicLink(link));
    assertEquals("new", Files.readString(file));
    assertEquals(List.of("link", "other"), names());
  }

  @Test
  void aPipeIsRefusedAndStays() throws Exception {
    Path pipe = folder.resolve("pipe");
    assumeTrue(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor() == 0);
    ActclipException e =
        assertThrows(ActclipException.class, () -> AtomicFile.writeString(pipe, "text"));
    assertEquals(pipe + " cannot be written: it is a device or a pipe, not a file", e.getMessage());
    assertTrue(Files.readAttributes(pipe, BasicFileAttributes.class).isOther());
    assertEquals(List.of("pipe"), names());
  }

  @ParameterizedTest
  @ValueSource(strings = {"n", "é", "\ud83d\ude00"})
  void aNameMayBeAsLongAsTheFileSystemLetsItBe(String letter) throws IOException {
    String name = letter.repeat(255 / letter.getBytes(StandardCharsets.UTF_8).length);
    AtomicFile.writeString(folder.resolve(name), "text");
    assertEquals("text", Files.readString(folder.resolve(name)));
    assertEquals(List.of(name), names());
  }

  @Test
  void anInterruptHarmsNeitherAFileNorTheFlag() throws IOException {
    Path file = folder.resolve("file");
    Thread.currentThread().interrupt();
    try {
      AtomicFile.writeString(file, "whole");
      assertTrue(Thread.currentThread().isInterrupted());
    } finally {
      Thread.interrupted();
    }
    assertEquals("whole", Files.readString(file));
    assertEquals(List.of("file"), names());
  }

  /** Without any moment between the bytes at which it is not tried. */
  @Test
  void anInterruptAtAnyMomentHarmsNothing() throws IOException {
    Path file = folder.resolve("file");
    Thread writer = Thread.currentThread();
    for (int i = 0; i < 3; i++) {
      int at = i;
      AtomicFile.write(
          file,
          out -> {
            for (int j = 0; j < 3; j++) {
              if (j == at) {
                writer.interrupt();
              }
              out.write(new byte[1 << 17]);
            }
          });
      assertTrue(Thread.interrupted());
      assertEquals(3 << 17, Files.size(file));
    }
  }

  @Test
  void ofTwoWritersAtOnceNeitherGetsTheOthersBytes() throws Exception {
    Path file = folder.resolve("file");
    AtomicFile.write(
        file,
        out -> {
          out.write("first".getBytes(StandardCharsets.UTF_8));
          out.flush();
          CompletableFuture.runAsync(() -> AtomicFile.writeString(file, "second")).join();
          assertEquals("second", Files.readString(file));
          out.write(", to its end".getBytes(StandardCharsets.UTF_8));
        });
    assertEquals("first, to its end", Files.readString(file));
    assertEquals(List.of("file"), names());
  }

  @Test
  void manyWritersLeaveOneWholeFile() throws Exception {
    Path file = folder.resolve("file");
    CompletableFuture<?>[] writers =
        Stream.iterate(1, i -> i + 1)
            .limit(8)
            .map(i -> CompletableFuture.runAsync(() -> writeManyTimes(file, i)))
            .toArray(CompletableFuture[]::new);
    CompletableFuture.allOf(writers).join();
    byte[] content = Files.readAllBytes(file);
    assertEquals(100_000, content.length);
    for (byte b : content) {
      assertEquals(content[0], b);
    }
    assertEquals(List.of("file"), names());
  }

  private static void writeManyTimes(Path file, int value) {
    byte[] content = new byte[100_000];
    java.util.Arrays.fill(content, (byte) value);
    for (int i = 0; i < 20; i++) {
      AtomicFile.write(file, out -> out.write(content));
    }
  }

  @Test
  void whatAKilledProcessLeftIsDeletedAndWhatAWriterHasIsNot() throws IOException {
    Path file = folder.resolve("file");
    Files.writeString(folder.resolve(".file.0123.part"), "left");
    Files.writeString(folder.resolve(".file.part"), "left by an older version");
    Files.writeString(folder.resolve(".other.0123.part"), "left of another");
    Path live = folder.resolve(".file.4567.part");
    try (LockedFile writer = LockedFile.open(live).orElseThrow()) {
      assertTrue(writer.isLocked());
      AtomicFile.writeString(file, "text");
      assertTrue(Files.exists(live));
    }
    assertEquals(List.of(".file.4567.part", ".other.0123.part", "file"), names());
    AtomicFile.deleteUnfinished(folder, ".");
    assertEquals(List.of("file"), names());
  }

  /** POSIX would end the lock when the process closes any other handle of the file. */
  @Test
  void whoIsRefusedDoesNotEndTheLock() throws IOException {
    Path locks = Path.of("/proc/locks");
    assumeTrue(Files.isReadable(locks));
    Path file = folder.resolve("file");
    try (LockedFile writer = LockedFile.open(file).orElseThrow()) {
      assertTrue(writer.isLocked());
      String inode = ":" + Files.getAttribute(file, "unix:ino") + " ";
      assertTrue(Files.readString(locks).contains(inode));
      assertEquals(Optional.empty(), LockedFile.open(folder.resolve("./file")));
      assertTrue(Files.readString(locks).contains(inode));
    }
    LockedFile.open(file).orElseThrow().close();
  }

  @Test
  void aFailureLeavesNothing() throws IOException {
    Path inTheWay = Files.createDirectory(folder.resolve("file"));
    Files.createFile(inTheWay.resolve("content"));
    ActclipException e =
        assertThrows(ActclipException.class, () -> AtomicFile.writeString(inTheWay, "text"));
    assertTrue(e.getMessage().startsWith(inTheWay + " cannot be written: "), e.getMessage());
    assertEquals(List.of("file"), names());
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
