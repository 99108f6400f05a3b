package io.github.actclip.io;

import static io.github.actclip.io.SafetensorsHeader.DTYPE;
import static io.github.actclip.io.SafetensorsHeader.JSON;
import static io.github.actclip.io.SafetensorsHeader.LENGTH_BYTES;
import static io.github.actclip.io.SafetensorsHeader.MAX_JSON_BYTES;
import static io.github.actclip.io.SafetensorsHeader.METADATA;
import static io.github.actclip.io.SafetensorsHeader.OFFSETS;
import static io.github.actclip.io.SafetensorsHeader.SHAPE;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.runtime.ActclipException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Reads the header of one safetensors file and refuses whatever the format does not allow. */
final class SafetensorsHeaderReader {

  private final Path file;
  private final long fileBytes;
  private final List<TensorInfo> tensors = new ArrayList<>();
  private Map<String, String> metadata = Map.of();

  private SafetensorsHeaderReader(Path file, long fileBytes) {
    this.file = file;
    this.fileBytes = fileBytes;
  }

  /** Reads from the start of the file up to its data. */
  static SafetensorsHeader read(Path file, InputStream in) throws IOException {
    return new SafetensorsHeaderReader(file, Files.size(file)).read(in);
  }

  private SafetensorsHeader read(InputStream in) throws IOException {
    int jsonBytes = readLength(in);
    parse(read(in, jsonBytes).array());
    long dataStart = (long) LENGTH_BYTES + jsonBytes;
    SafetensorsHeader header = new SafetensorsHeader(dataStart, tensors, metadata);
    checkCoverage(header, fileBytes - dataStart);
    return header;
  }

  private int readLength(InputStream in) throws IOException {
    if (fileBytes < LENGTH_BYTES) {
      throw invalid(
          "it has %d bytes, and the length of its header alone takes %d", fileBytes, LENGTH_BYTES);
    }
    long length = read(in, LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (length < 0 || length > MAX_JSON_BYTES) {
      throw invalid(
          "the length of its header is %s, and must be 0 to %d",
          Long.toUnsignedString(length), MAX_JSON_BYTES);
    }
    if (length > fileBytes - LENGTH_BYTES) {
      throw invalid(
          "the length of its header is %d, and only %d bytes follow",
          length, fileBytes - LENGTH_BYTES);
    }
    return (int) length;
  }

  private static ByteBuffer read(InputStream in, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes);
    TensorBytes.read(in, List.of(buffer));
    return buffer.flip();
  }

  private void parse(byte[] json) throws IOException {
    if (json.length == 0 || json[0] != '{') {
      throw invalid("its header must be a JSON object and begin with '{'");
    }
    var text =
        new InputStreamReader(new ByteArrayInputStream(json), StandardCharsets.UTF_8.newDecoder());
    try (JsonParser parser = JSON.createParser(text)) {
      parser.nextToken();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        parser.nextToken();
        JsonNode entry = parser.readValueAsTree();
        if (name.equals(METADATA)) {
          metadata = parseMetadata(entry);
        } else {
          tensors.add(parseTensor(name, entry));
        }
      }
      if (parser.nextToken() != null) {
        throw invalid("something follows the JSON object of its header");
      }
    } catch (JsonProcessingException e) {
      throw invalid(
          "its header is not valid JSON at character %d: %s",
          e.getLocation() == null ? 0 : e.getLocation().getCharOffset(),
          e.getOriginalMessage().lines().findFirst().orElse("").replaceAll("\\p{Cntrl}", "?"));
    } catch (CharacterCodingException e) {
      throw invalid("its header is not valid UTF-8");
    }
  }

  private Map<String, String> parseMetadata(JsonNode json) {
    if (!json.isObject()) {
      throw invalid("%s must be an object of strings, not %s", METADATA, json.getNodeType());
    }
    Map<String, String> strings = new LinkedHashMap<>();
    for (var property : json.properties()) {
      if (!property.getValue().isTextual()) {
        throw invalid(
            "%s must hold strings, and %s is %s",
            METADATA, TensorInfo.quoted(property.getKey()), property.getValue().getNodeType());
      }
      strings.put(property.getKey(), property.getValue().textValue());
    }
    return strings;
  }

  private TensorInfo parseTensor(String name, JsonNode json) {
    String shown = TensorInfo.quoted(name);
    if (!json.isObject()
        || json.size() != 3
        || !json.has(DTYPE)
        || !json.has(SHAPE)
        || !json.has(OFFSETS)) {
      throw invalid("tensor %s must have dtype, shape and data_offsets, and nothing else", shown);
    }
    Dtype dtype = parseDtype(shown, json.get(DTYPE));
    long[] shape = parseSizes(shown, SHAPE, json.get(SHAPE), TensorInfo.MAX_DIMENSIONS);
    long[] offsets = parseSizes(shown, OFFSETS, json.get(OFFSETS), 2);
    if (offsets.length != 2 || offsets[0] > offsets[1]) {
      throw invalid(
          "tensor %s has the data_offsets %s, and needs [begin, end] with begin <= end",
          shown, Arrays.toString(offsets));
    }
    TensorInfo tensor = new TensorInfo(name, dtype, shape, offsets[0], offsets[1]);
    checkByteCount(tensor);
    return tensor;
  }

  private Dtype parseDtype(String tensor, JsonNode json) {
    Dtype dtype = Dtype.named(json.textValue());
    if (dtype == null) {
      throw invalid(
          "tensor %s has the dtype %s, which is none of %s",
          tensor, TensorInfo.quoted(json.asText()), Arrays.toString(Dtype.values()));
    }
    return dtype;
  }

  private long[] parseSizes(String tensor, String field, JsonNode json, int most) {
    if (!json.isArray() || json.size() > most) {
      throw invalid(
          "tensor %s needs as %s an array of at most %d numbers, not %s",
          tensor, field, most, json.isArray() ? json.size() + " of them" : json.getNodeType());
    }
    long[] sizes = new long[json.size()];
    for (int i = 0; i < sizes.length; i++) {
      JsonNode size = json.get(i);
      if (!size.isIntegralNumber() || !size.canConvertToLong() || size.longValue() < 0) {
        throw invalid(
            "tensor %s has %s in its %s, which must hold integers of 0 or more",
            tensor, TensorInfo.quoted(size.isContainerNode() ? "[…]" : size.asText()), field);
      }
      sizes[i] = size.longValue();
    }
    return sizes;
  }

  private void checkByteCount(TensorInfo tensor) {
    String shape = Arrays.toString(tensor.shape());
    long needed;
    try {
      needed = TensorInfo.byteCount(tensor.dtype(), tensor.shape());
    } catch (ArithmeticException e) {
      throw invalid(
          "tensor %s has the shape %s, which no memory holds",
          TensorInfo.quoted(tensor.name()), shape);
    }
    if (tensor.byteCount() != needed) {
      throw invalid(
          "tensor %s has %d bytes, and its shape %s of %s needs %d",
          TensorInfo.quoted(tensor.name()), tensor.byteCount(), shape, tensor.dtype(), needed);
    }
  }

  /** Every byte of the data belongs to exactly one tensor. */
  private void checkCoverage(SafetensorsHeader header, long dataBytes) {
    long covered = 0;
    for (TensorInfo tensor : header.dataOrder()) {
      if (tensor.begin() != covered) {
        throw invalid(
            "tensor %s begins at byte %d of the data, and should begin at byte %d, where the one"
                + " before it ends",
            TensorInfo.quoted(tensor.name()), tensor.begin(), covered);
      }
      covered = tensor.end();
    }
    if (covered != dataBytes) {
      throw invalid("its tensors cover %d bytes of data, and the file has %d", covered, dataBytes);
    }
  }

  private ActclipException invalid(String message, Object... args) {
    return ActclipException.badInput(
        "%s is not a valid safetensors file: %s", file, String.format(Locale.ROOT, message, args));
  }
}
