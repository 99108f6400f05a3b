package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.testing.LogCapture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RecordFileTest {

  @TempDir Path folder;

  @Test
  void recordsGoAfterTheEnd() throws IOException {
    Path path = Files.writeString(folder.resolve("file"), "a");
    try (RecordFile file = new RecordFile(path)) {
      file.add(new byte[] {'b'});
      assertEquals("ab", Files.readString(path));
      file.add(new byte[] {'c'});
      assertEquals("abc", Files.readString(path));
    }
  }

  @Test
  void aFullDiskIsOneWarningAndNoFailure() throws IOException {
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full));
    Path path = Files.createSymbolicLink(folder.resolve("file"), full);
    try (RecordFile file = new RecordFile(path);
        LogCapture log = new LogCapture(RecordFile.class)) {
      file.add(new byte[] {1});
      file.add(new byte[] {2});
      assertEquals(
          List.of("WARN " + path + " ends here, and the training goes on: No space left on device"),
          log.lines());
    }
  }

  @Test
  void aFileThatCannotBeOpenedIsOneSentence() {
    Path path = folder.resolve("none/file");
    ActclipException e = assertThrows(ActclipException.class, () -> new RecordFile(path));
    assertEquals(path + " cannot be written: there is no such file or directory", e.getMessage());
    assertFalse(e.isBadInput());
  }
}
