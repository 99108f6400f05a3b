package io.github.actclip.io;

import static io.github.actclip.io.SafetensorsFiles.entry;
import static io.github.actclip.io.SafetensorsFiles.withLength;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsHostileTest {

  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("bad.safetensors");
  }

  @Test
  void refusesWrongLengths() throws IOException {
    assertInvalid(new byte[0], "it has 0 bytes, and the length of its header alone takes 8");
    assertInvalid(new byte[7], "it has 7 bytes, and the length of its header alone takes 8");
    assertInvalid(withLength(0, 0), "its header must be a JSON object and begin with '{'");
    assertInvalid(withLength(3, 2), "the length of its header is 3, and only 2 bytes follow");
    assertInvalid(
        withLength(100_000_000, 2),
        "the length of its header is 100000000, and only 2 bytes follow");
    assertInvalid(
        withLength(100_000_001, 2),
        "the length of its header is 100000001, and must be 0 to 100000000");
    assertInvalid(
        withLength(-1, 2),
        "the length of its header is 18446744073709551615, and must be 0 to 100000000");
    assertInvalid(
        withLength(1L << 32, 2),
        "the length of its header is 4294967296, and must be 0 to 100000000");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "1", "null", "\"{}\"", " {}", "\ufeff{}"})
  void refusesWhatIsNoObject(String json) throws IOException {
    assertInvalidJson(json, "its header must be a JSON object and begin with '{'");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{",
        "{\"a\"",
        "{\"a\":",
        "{a:1}",
        "{\"__metadata__\":{},}",
        "{\"a\":tru}",
        "{\u0001}"
      })
  void refusesInvalidJson(String json) throws IOException {
    assertInvalidJson(json, "its header is not valid JSON at character ");
  }

  @Test
  void refusesWhatFollowsTheObject() throws IOException {
    assertInvalidJson("{} {}", "something follows the JSON object of its header");
    assertInvalidJson("{}\0", "its header is not valid JSON at character ");
  }

  @Test
  void refusesOtherEncodings() throws IOException {
    byte[] malformed = "{\"\u00e9\":1}".getBytes(StandardCharsets.ISO_8859_1);
    assertInvalid(SafetensorsFiles.of(malformed, new byte[0]), "its header is not valid UTF-8");
    byte[] wide = "{}".getBytes(StandardCharsets.UTF_16LE);
    assertInvalid(
        SafetensorsFiles.of(wide, new byte[0]), "its header is not valid JSON at character ");
  }

  @Test
  void refusesDuplicates() throws IOException {
    String entry = entry("U8", "[0]", 0, 0);
    assertInvalidJson("{\"a\":" + entry + ",\"a\":" + entry + "}", "Duplicate field 'a'");
    assertInvalidJson("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "Duplicate field 'k'");
    assertInvalidJson(
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}",
        "Duplicate field 'dtype'");
  }

  @Test
  void refusesDeepNesting() throws IOException {
    assertInvalidJson(
        "{\"a\":" + "[".repeat(500) + "]".repeat(500) + "}", "tensor \"a\" must have");
    assertInvalidJson("{\"a\":" + "[".repeat(1_000_000), "nesting depth");
    assertInvalidJson("{\"a\":".repeat(1_000_000), "nesting depth");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1",
        "null",
        "{}",
        "{\"dtype\":\"U8\",\"shape\":[0]}",
        "{\"dtype\":\"U8\",\"data_offsets\":[0,0]}",
        "{\"shape\":[0],\"data_offsets\":[0,0]}",
        "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"more\":1}",
        "{\"dtype\":\"U8\",\"shape\":[0],\"offsets\":[0,0]}"
      })
  void refusesWrongFields(String entry) throws IOException {
    assertInvalidEntry(
        entry, "tensor \"a\" must have dtype, shape and data_offsets, and nothing else");
  }

  @ParameterizedTest
  @ValueSource(strings = {"F8_E4M3", "f32", "", "C64", "100%s"})
  void refusesUnknownDtypes(String dtype) throws IOException {
    assertInvalidEntry(
        entry(dtype, "[0]", 0, 0),
        "tensor \"a\" has the dtype \""
            + dtype
            + "\", which is none of [F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL]");
  }

  @Test
  void refusesADtypeThatIsNoText() throws IOException {
    assertInvalidEntry(
        "{\"dtype\":32,\"shape\":[0],\"data_offsets\":[0,0]}",
        "tensor \"a\" has the dtype \"32\", which is none of");
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      value = {
        "-1,-1",
        "1.0,1.0",
        "1e3,1000.0",
        "9223372036854775808,9223372036854775808",
        "\"1\",1",
        "true,true",
        "null,null",
        "[1],[…]"
      })
  void refusesSizesThatAreNone(String size, String shown) throws IOException {
    String which = "tensor \"a\" has \"" + shown + "\" in its ";
    String wanted = ", which must hold integers of 0 or more";
    assertInvalidEntry(entry("U8", "[" + size + "]", 0, 0), which + "shape" + wanted);
    assertInvalidEntry(entry("U8", "[0]", size, 0), which + "data_offsets" + wanted);
    assertInvalidEntry(entry("U8", "[0]", 0, size), which + "data_offsets" + wanted);
  }

  @Test
  void refusesWrongArrays() throws IOException {
    assertInvalidEntry(
        entry("U8", "4", 0, 4),
        "tensor \"a\" needs as shape an array of at most 64 numbers, not NUMBER");
    assertInvalidEntry(
        entry("U8", "[1" + ",1".repeat(64) + "]", 0, 1),
        "tensor \"a\" needs as shape an array of at most 64 numbers, not 65 of them");
    assertInvalidEntry(
        "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0,0]}",
        "tensor \"a\" needs as data_offsets an array of at most 2 numbers, not 3 of them");
    assertInvalidEntry(
        "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0]}",
        "tensor \"a\" has the data_offsets [0], and needs [begin, end] with begin <= end");
    assertInvalidEntry(
        entry("U8", "[0]", 2, 1),
        "tensor \"a\" has the data_offsets [2, 1], and needs [begin, end] with begin <= end");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[4294967296, 4294967296]",
        "[9223372036854775807, 2]",
        "[9223372036854775807]",
        "[0, 4294967296, 4294967296]",
        "[4294967296, 0, 4294967296]"
      })
  void refusesShapesThatOverflow(String shape) throws IOException {
    assertInvalidEntry(
        entry("F32", shape, 0, 0),
        "tensor \"a\" has the shape " + shape + ", which no memory holds");
  }

  @Test
  void refusesSizesThatDisagree() throws IOException {
    assertInvalid(
        SafetensorsFiles.of("{\"a\":" + entry("F32", "[3]", 0, 8) + "}", new byte[8]),
        "tensor \"a\" has 8 bytes, and its shape [3] of F32 needs 12");
    assertInvalidEntry(
        entry("F32", "[1099511627776]", 0, 0),
        "tensor \"a\" has 0 bytes, and its shape [1099511627776] of F32 needs 4398046511104");
  }

  @Test
  void refusesHolesAndOverlaps() throws IOException {
    assertInvalid(
        two(0, 2, 1, 3, 3),
        "tensor \"b\" begins at byte 1 of the data, and should begin at byte 2, where the one"
            + " before it ends");
    assertInvalid(two(0, 2, 3, 5, 5), "tensor \"b\" begins at byte 3 of the data");
    assertInvalid(two(0, 2, 0, 2, 2), "tensor \"b\" begins at byte 0 of the data");
    assertInvalid(two(1, 3, 3, 5, 5), "tensor \"a\" begins at byte 1 of the data");
    assertInvalid(two(0, 2, 2, 4, 5), "its tensors cover 4 bytes of data, and the file has 5");
    assertInvalid(two(0, 2, 2, 4, 3), "its tensors cover 4 bytes of data, and the file has 3");
    assertInvalid(
        SafetensorsFiles.of("{}", new byte[1]),
        "its tensors cover 0 bytes of data, and the file has 1");
    assertInvalidEntry(
        entry("U8", "[9223372036854775807]", 0, Long.MAX_VALUE),
        "its tensors cover 9223372036854775807 bytes of data, and the file has 0");
  }

  private static byte[] two(int begin1, int end1, int begin2, int end2, int dataBytes) {
    String json =
        "{\"a\":"
            + entry("U8", "[" + (end1 - begin1) + "]", begin1, end1)
            + ",\"b\":"
            + entry("U8", "[" + (end2 - begin2) + "]", begin2, end2)
            + "}";
    return SafetensorsFiles.of(json, new byte[dataBytes]);
  }

  @Test
  void refusesWrongMetadata() throws IOException {
    assertInvalidJson(
        "{\"__metadata__\":[]}", "__metadata__ must be an object of strings, not ARRAY");
    assertInvalidJson(
        "{\"__metadata__\":{\"k\":1}}", "__metadata__ must hold strings, and \"k\" is NUMBER");
  }

  @Test
  void messagesStayOnOneShortLine() throws IOException {
    String name = "a\\n%s\\u001b[31m" + "x".repeat(40_000);
    assertInvalidJson(
        "{\"" + name + "\":1}", "tensor \"a?%s?[31m" + "x".repeat(91) + "…\" must have");
    assertInvalidJson("{\"a\":" + "x".repeat(40_000) + "}", "Unrecognized token");
    assertInvalidJson("{\"" + "x".repeat(100_000) + "\":1}", "Name length");
    assertInvalidEntry(
        entry("F32", "[" + "9".repeat(900) + "]", 0, 0), "9".repeat(100) + "…\" in its shape");
  }

  private void assertInvalidEntry(String entry, String message) throws IOException {
    assertInvalidJson("{\"a\":" + entry + "}", message);
  }

  private void assertInvalidJson(String json, String message) throws IOException {
    assertInvalid(SafetensorsFiles.of(json, new byte[0]), message);
  }

  private void assertInvalid(byte[] content, String message) throws IOException {
    Files.write(file, content);
    var e = assertThrows(ActclipException.class, () -> Safetensors.read(file));
    String shown = e.getMessage();
    assertTrue(e.isBadInput(), shown);
    assertTrue(shown.startsWith(file + " is not a valid safetensors file: "), shown);
    assertTrue(shown.contains(message), shown);
    assertEquals(1, shown.lines().count(), shown);
    assertTrue(shown.length() < 700, shown);
    assertEquals(
        shown,
        assertThrows(ActclipException.class, () -> Safetensors.readMetadata(file)).getMessage());
  }
}
