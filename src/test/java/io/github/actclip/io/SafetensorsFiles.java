package io.github.actclip.io;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** Safetensors files put together by hand, right or wrong. */
final class SafetensorsFiles {

  private SafetensorsFiles() {}

  static byte[] of(String json, byte[] data) {
    return of(json.getBytes(StandardCharsets.UTF_8), data);
  }

  static byte[] of(byte[] json, byte[] data) {
    return ByteBuffer.allocate(Long.BYTES + json.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(data)
        .array();
  }

  static byte[] withLength(long length, int following) {
    return ByteBuffer.allocate(Long.BYTES + following)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .array();
  }

  static String entry(String dtype, String shape, Object begin, Object end) {
    return String.format(
        Locale.ROOT,
        "{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%s,%s]}",
        dtype,
        shape,
        begin,
        end);
  }
}
