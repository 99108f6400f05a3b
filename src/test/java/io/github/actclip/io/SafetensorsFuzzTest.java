package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.ShrinkingMode;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.bytedeco.pytorch.Tensor;

/** Whatever is done to a file, reading it works or is refused, in little memory and time. */
class SafetensorsFuzzTest {

  private static final String SEED = "20260101";
  private static final long MAX_HEAP_BYTES = 1 << 20;
  private static final long MAX_NANOS = 2_000_000_000L;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private static Path file;
  private static byte[] valid;
  private static String json;
  private static byte[] data;

  @BeforeContainer
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

  @AfterContainer
  static void deleteFile() throws IOException {
    Files.delete(file);
  }

  @Provide
  Arbitrary<byte[]> mutated() {
    return Mutations.of(valid, 4);
  }

  @Property(seed = SEED, tries = 5_000, shrinking = ShrinkingMode.BOUNDED)
  void survivesChangedBytes(@ForAll("mutated") byte[] content) throws IOException {
    readOrRefuse(content);
  }

  @Provide
  Arbitrary<byte[]> cut() {
    return Combinators.combine(mutated(), Arbitraries.integers().between(0, valid.length * 2))
        .as(Arrays::copyOf);
  }

  @Property(seed = SEED, tries = 1_000, shrinking = ShrinkingMode.BOUNDED)
  void survivesTruncationAndTrailingBytes(@ForAll("cut") byte[] content) throws IOException {
    readOrRefuse(content);
  }

  /**
   * Replaces a number, a name, a bracket … by another one, keeping the length of the header right.
   */
  @Provide
  Arbitrary<byte[]> rewritten() {
    List<String> tokens =
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
    return Combinators.combine(
            Arbitraries.integers().between(1, 100),
            Arbitraries.of(tokens),
            Arbitraries.integers().between(1, 100),
            Arbitraries.of(tokens))
        .as((at, token, at2, token2) -> replaceToken(replaceToken(json, at, token), at2, token2))
        .map(changed -> SafetensorsFiles.of(changed, data));
  }

  @Property(seed = SEED, tries = 5_000, shrinking = ShrinkingMode.BOUNDED)
  void survivesOtherTokens(@ForAll("rewritten") byte[] content) throws IOException {
    readOrRefuse(content);
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
