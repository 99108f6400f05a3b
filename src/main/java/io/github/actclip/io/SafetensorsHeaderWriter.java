package io.github.actclip.io;

import static io.github.actclip.io.SafetensorsHeader.DTYPE;
import static io.github.actclip.io.SafetensorsHeader.JSON;
import static io.github.actclip.io.SafetensorsHeader.LENGTH_BYTES;
import static io.github.actclip.io.SafetensorsHeader.MAX_JSON_BYTES;
import static io.github.actclip.io.SafetensorsHeader.METADATA;
import static io.github.actclip.io.SafetensorsHeader.OFFSETS;
import static io.github.actclip.io.SafetensorsHeader.SHAPE;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.actclip.runtime.ActclipException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Decides where in a safetensors file each tensor goes, and writes that down. */
final class SafetensorsHeaderWriter {

  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final List<TensorInfo> dataOrder;

  SafetensorsHeaderWriter(List<TensorInfo> described) {
    for (TensorInfo tensor : described) {
      if (tensor.name().equals(METADATA)) {
        throw ActclipException.badInput(
            "A tensor cannot be named %s; the format uses it", METADATA);
      }
      tensors.put(tensor.name(), tensor);
    }
    long end = 0;
    for (TensorInfo tensor : largeElementsFirst(described)) {
      tensors.put(tensor.name(), tensor.movedTo(end));
      end += tensor.byteCount();
    }
    dataOrder = tensors.values().stream().sorted(TensorInfo.DATA_ORDER).toList();
  }

  /** Every tensor then begins at a multiple of its element size, for readers that map the file. */
  private static List<TensorInfo> largeElementsFirst(List<TensorInfo> tensors) {
    return tensors.stream().sorted(Comparator.comparingInt(t -> -t.dtype().bytes())).toList();
  }

  List<TensorInfo> dataOrder() {
    return dataOrder;
  }

  /** The first bytes of the file, padded so that the data is aligned to 8 bytes. */
  byte[] toBytes(Map<String, String> metadata) {
    ByteBuffer json;
    try {
      json =
          StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(toJson(metadata).toString()));
    } catch (CharacterCodingException e) {
      throw ActclipException.badInput(
          "A tensor name or metadata has half of a surrogate pair; it must be valid Unicode");
    }
    int padded = (json.remaining() + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
    if (padded > MAX_JSON_BYTES) {
      throw ActclipException.badInput(
          "Tensor names and metadata take %d bytes; a safetensors file has room for %d",
          padded, MAX_JSON_BYTES);
    }
    byte[] bytes = new byte[LENGTH_BYTES + padded];
    Arrays.fill(bytes, (byte) ' ');
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(json);
    return bytes;
  }

  private ObjectNode toJson(Map<String, String> metadata) {
    ObjectNode json = JSON.createObjectNode();
    if (!metadata.isEmpty()) {
      ObjectNode texts = json.putObject(METADATA);
      metadata.forEach((name, text) -> texts.put(name, Objects.requireNonNull(text, name)));
    }
    for (TensorInfo tensor : tensors.values()) {
      ObjectNode entry = json.putObject(tensor.name());
      entry.put(DTYPE, tensor.dtype().name());
      ArrayNode shape = entry.putArray(SHAPE);
      Arrays.stream(tensor.shape()).forEach(shape::add);
      entry.putArray(OFFSETS).add(tensor.begin()).add(tensor.end());
    }
    return json;
  }
}
