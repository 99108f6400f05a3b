package io.github.actclip.io;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * PyTorch files put together by hand, right or wrong. Pickles are texts of one character a byte:
 * instructions one after the other.
 */
final class PyTorchFiles {

  static final String TENSOR = global("torch._utils", "_rebuild_tensor_v2");
  static final String NO_HOOKS = global("collections", "OrderedDict") + ")R";

  private PyTorchFiles() {}

  /** An archive with that pickle and one storage, "0". */
  static byte[] of(String pickle, byte[] storage) throws IOException {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("a/data.pkl", bytes(pickle));
    entries.put("a/data/0", storage);
    return zip(entries);
  }

  static byte[] zip(Map<String, byte[]> entries) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(out)) {
      zip.setMethod(ZipOutputStream.STORED);
      for (Map.Entry<String, byte[]> content : entries.entrySet()) {
        CRC32 crc = new CRC32();
        crc.update(content.getValue());
        ZipEntry entry = new ZipEntry(content.getKey());
        entry.setSize(content.getValue().length);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(content.getValue());
      }
    }
    return out.toByteArray();
  }

  static byte[] bytes(String pickle) {
    return pickle.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** The pickle of {"w": value}. */
  static String dictOf(String value) {
    return "\u0080\u0002}" + text("w") + value + "s.";
  }

  static String tensor(String storage, String offset, String shape, String strides) {
    return TENSOR + "(" + storage + offset + shape + strides + "\u0089" + NO_HOOKS + "tR";
  }

  static String storage(String type, String key, String elements) {
    return "("
        + text("storage")
        + global("torch", type)
        + text(key)
        + text("cpu")
        + elements
        + "tQ";
  }

  static String global(String module, String name) {
    return "c" + module + "\n" + name + "\n";
  }

  static String text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    return "X" + littleEndian(utf8.length, 4) + new String(utf8, StandardCharsets.ISO_8859_1);
  }

  static String integer(long value) {
    return "\u008a\u0008" + littleEndian(value, 8);
  }

  static String tuple(long... values) {
    StringBuilder tuple = new StringBuilder("(");
    for (long value : values) {
      tuple.append(integer(value));
    }
    return tuple.append('t').toString();
  }

  static String littleEndian(long value, int bytes) {
    byte[] all = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    return new String(all, 0, bytes, StandardCharsets.ISO_8859_1);
  }
}
