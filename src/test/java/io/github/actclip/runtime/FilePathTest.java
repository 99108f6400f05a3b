package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FilePathTest {

  @Test
  void itIsTheSystemsOwn() {
    assertEquals(Path.of("runs", "a b").resolve("c"), FilePath.of("runs/a b/c"));
  }

  /** As of a shell's variable that is not set. */
  @ParameterizedTest
  @ValueSource(strings = {"", " "})
  void anEmptyNameIsOneSentence(String text) {
    ActclipException e = assertThrows(ActclipException.class, () -> FilePath.of(text));
    assertTrue(e.isBadInput());
    assertEquals(
        "the name of a file or folder is empty (\""
            + text
            + "\"): give one, or \".\" for the working folder",
        e.getMessage());
  }

  /** Half a surrogate pair is in no charset, as é is not in ASCII. */
  @ParameterizedTest
  @ValueSource(strings = {"runs/\ud800", "runs/\u0000"})
  void whatNoFileCanBeNamedIsOneSentence(String text) {
    ActclipException e = assertThrows(ActclipException.class, () -> FilePath.of(text));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().startsWith(text + " cannot be the name of a file ("), e.getMessage());
    assertTrue(e.getMessage().contains("such as LC_ALL=C.UTF-8"), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  /** The JVM would take what it read for the folder's name, and make such a folder. */
  @Test
  void relativeToAFolderWhoseNameTheJvmCannotReadIsOneSentence() {
    String workingFolder = System.getProperty("user.dir");
    try {
      System.setProperty("user.dir", "/home/Ren\ufffd\ufffd");
      ActclipException e = assertThrows(ActclipException.class, () -> FilePath.of("runs"));
      assertTrue(e.isBadInput());
      assertTrue(e.getMessage().contains("the working folder /home/Ren"), e.getMessage());
      assertEquals(Path.of("/tmp").resolve("runs"), FilePath.of("/tmp/runs"));
    } finally {
      System.setProperty("user.dir", workingFolder);
    }
  }
}
