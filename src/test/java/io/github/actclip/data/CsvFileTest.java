package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of which only a part can be read. */
class CsvFileTest {

  private static final Path PATH = Path.of("data.csv");

  /** As a disk that is damaged, after some text. */
  private static DataFile failing(String text) {
    InputStream disk =
        new InputStream() {
          @Override
          public int read() throws IOException {
            throw new IOException("the disk is damaged");
          }
        };
    byte[] start = text.getBytes(StandardCharsets.UTF_8);
    return new DataFile(
        "data.csv", 99, new SequenceInputStream(new ByteArrayInputStream(start), disk));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "x,pri", "x,price\n", "x,price\n1,2\n", "x,price\n1,\"2", "x,price\n1,"})
  void anErrorOfTheDiskIsNoMistakeOfTheFile(String text) {
    IOException e =
        assertThrows(
            IOException.class,
            () -> {
              CsvFile file = new CsvFile(PATH, failing(text), ',');
              while (file.next()) {
                assertEquals("1", file.text(0));
              }
            });
    assertEquals("the disk is damaged", e.getMessage());
    ActclipException said = DataFile.unreadable(PATH, e);
    assertEquals("data.csv cannot be read: the disk is damaged", said.getMessage());
    assertFalse(said.isBadInput());
  }

  @Test
  void whatIsNotThereIsBadInput() {
    assertTrue(DataFile.unreadable(PATH, new NoSuchFileException("data.csv")).isBadInput());
    assertTrue(DataFile.unreadable(PATH, new AccessDeniedException("data.csv")).isBadInput());
  }
}
