package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import org.junit.jupiter.api.Test;

/** Images that are sound, with something beside the pixels that is meant ill. */
class HostileImageTest {

  private static final int SIDE = 28;

  /** More than the memory of a test. */
  private static final long BOMB = 1L << 30;

  private static void assertIsRead(byte[] image) {
    SampleReader reader = new SampleReader(Preprocessing.ofImages(SIDE), 1000);
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> assertEquals(3 * SIDE * SIDE, reader.read(new ByteArrayInputStream(image)).length));
  }

  @Test
  void textThatUnpacksToGigabytesIsNotUnpacked() throws IOException {
    byte[] packed = packed(BOMB);
    assertIsRead(png(0, "zTXt", joined(ascii("Raw\0\0"), packed)));
    assertIsRead(png(3, "zTXt", joined(ascii("Raw\0\0"), packed)));
    assertIsRead(png(0, "iTXt", joined(ascii("XML:com.adobe.xmp\0\1\0\0\0"), packed)));
    assertIsRead(png(0, "iCCP", joined(ascii("p\0\0"), packed)));
  }

  @Test
  void textThatNestsIsNotParsed() throws IOException {
    String name = "XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>";
    String xmp =
        name
            + "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
            + "<r:Description><a:b xmlns:a='q'>".repeat(20_000)
            + "</a:b></r:Description>".repeat(20_000)
            + "</r:RDF></x:xmpmeta>";
    assertIsRead(png(0, "iTXt", ascii(xmp)));
  }

  @Test
  void anOrientationThatCannotBeIsNone() throws IOException {
    byte[] exif = ascii("MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0\0");
    assertEquals(6, orientation(exif));
    for (int length = 0; length < 20; length++) {
      assertEquals(0, orientation(Arrays.copyOf(exif, length)), length + " bytes");
    }
    for (int at : new int[] {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13}) { // 8 and 9: more entries
      byte[] damaged = exif.clone();
      damaged[at] = (byte) 0xff;
      assertEquals(0, orientation(damaged), "damaged at " + at);
    }
  }

  private static int orientation(byte[] exif) throws IOException {
    return Exif.orientation(new ByteArrayInputStream(png(0, "eXIf", exif)));
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static byte[] joined(byte[] first, byte[] second) {
    return ByteBuffer.allocate(first.length + second.length).put(first).put(second).array();
  }

  private static byte[] packed(long zeros) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (DeflaterOutputStream out =
        new DeflaterOutputStream(packed, new Deflater(Deflater.BEST_SPEED))) {
      byte[] some = new byte[1 << 20];
      for (long i = 0; i < zeros; i += some.length) {
        out.write(some);
      }
    }
    return packed.toByteArray();
  }

  /** A black one, of greys or of a palette. */
  private static byte[] png(int type, String name, byte[] data) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(ascii("\u0089PNG\r\n\u001a\n"));
    ByteBuffer head = ByteBuffer.allocate(13).putInt(SIDE).putInt(SIDE);
    chunk(out, "IHDR", head.put(new byte[] {8, (byte) type, 0, 0, 0}).array());
    chunk(out, name, data);
    if (type == 3) {
      chunk(out, "PLTE", new byte[3]);
    }
    chunk(out, "IDAT", packed(SIDE * (SIDE + 1)));
    chunk(out, "IEND", new byte[0]);
    return out.toByteArray();
  }

  private static void chunk(ByteArrayOutputStream out, String name, byte[] data)
      throws IOException {
    CRC32 sum = new CRC32();
    sum.update(ascii(name));
    sum.update(data);
    DataOutputStream chunk = new DataOutputStream(out);
    chunk.writeInt(data.length);
    chunk.write(ascii(name));
    chunk.write(data);
    chunk.writeInt((int) sum.getValue());
  }
}
