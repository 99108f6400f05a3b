package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.testing.RandomCases;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Whatever is done to a file, reading it works or is refused, in little memory and time. */
class SafetensorsFuzzTest {

  private static final List<String> TOKENS =
      List.of(
          "0",
          "-1",
          "1",
          "26",
          "24.0",
          "1e9",
          "null",
          "[]",
          "{}",
          "[",
          "}",
          ",",
          "\"a\"",
          "\"F64\"",
          "\"shape\"",
          "4294967296",
          "9223372036854775807",
          "9223372036854775808",
          "-9223372036854775808",
          "1e999999999",
          "\"\\ud800\"",
          "\"__metadata__\"",
          "\u0000");

  private static final long MAX_HEAP_BYTES = 1 << 20;
  private static final long MAX_NANOS = 2_000_000_000L;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private static Path file;
  private static byte[] valid;
  private static String json;
  private static byte[] data;

  @BeforeAll
  static void makeValidFile() throws IOException {
    file = Files.createTempFile("fuzz", ".safetensors");
    json =
        String.format(
            Locale.ROOT,
            "{\"__metadata__\":{\"by\":\"actclip\"},\"a\":%s,\"b.w\":%s,\"c\":%s,\"d\":%s}",
            SafetensorsFiles.entry("F32", "[2, 3]", 0, 24),
            SafetensorsFiles.entry("BF16", "[]", 24, 26),
            SafetensorsFiles.entry("I64", "[3,0]", 26, 26),
            SafetensorsFiles.entry("BOOL", "[4]", 26, 30));
    data = new byte[30];
    valid = SafetensorsFiles.of(json, data);
    readOrRefuse(valid);
  }

  @AfterAll
  static void deleteFile() throws IOException {
    Files.delete(file);
  }

  @Test
  void survivesChangedBytes() {
    RandomCases.check(5_000, random -> readOrRefuse(Mutations.of(valid, 4, random)));
  }

  @Test
  void survivesTruncationAndTrailingBytes() {
    RandomCases.check(1_000, random -> readOrRefuse(Mutations.ofAnotherLength(valid, 4, random)));
  }

  /**
   * Replaces a number, a name, a bracket … by another one, twice, keeping the length of the header
   * right.
   */
  @Test
  void survivesOtherTokens() {
    RandomCases.check(
        5_000,
        random -> {
          String changed = replaceToken(replaceToken(json, random), random);
          readOrRefuse(SafetensorsFiles.of(changed, data));
        });
  }

  private static String replaceToken(String text, SplittableRandom random) {
    return replaceToken(text, random.nextInt(1, 101), TOKENS.get(random.nextInt(TOKENS.size())));
  }

  private static String replaceToken(String text, int index, String token) {
    var tokens = Pattern.compile("\"[^\"]*\"|[0-9]+|[\\[\\]{},:]").matcher(text);
    int seen = 0;
    while (tokens.find()) {
      if (++seen == index) {
        return text.substring(0, tokens.start()) + token + text.substring(tokens.end());
      }
    }
    return text;
  }

  private static void readOrRefuse(byte[] content) throws IOException {
    Files.write(file, content);
    long heap = THREADS.getCurrentThreadAllocatedBytes();
    long start = System.nanoTime();
    try {
      Safetensors.read(file).values().forEach(Tensor::close);
    } catch (ActclipException e) {
      assertTrue(e.isBadInput(), e.getMessage());
    }
    long nanos = System.nanoTime() - start;
    long allocated = THREADS.getCurrentThreadAllocatedBytes() - heap;
    // The first read, of the valid file, loads classes.
    assertTrue(content == valid || allocated < MAX_HEAP_BYTES, () -> allocated + " bytes of heap");
    assertTrue(content == valid || nanos < MAX_NANOS, () -> nanos + " ns");
  }
}
