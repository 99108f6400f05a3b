package io.github.actclip.io;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.github.actclip.runtime.ActclipException;

/**
 * Records as JSON: names in snake case, every component required, others ignored, and numbers as
 * {@link JsonNumbers} has them.
 */
public final class Json {

  /** With every double as it is, for a tree that is no text. */
  private static final JsonMapper TREES =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .addModule(new JsonNumbers())
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  private Json() {}

  /** On one line. */
  public static String line(Object value) {
    return write(MAPPER.writer(), value);
  }

  /** As a tree, also with numbers that JSON lacks. */
  public static JsonNode tree(Object value) {
    return TREES.valueToTree(value);
  }

  /** For people. */
  public static String pretty(Object value) {
    return write(MAPPER.writerWithDefaultPrettyPrinter(), value) + "\n";
  }

  /**
   * Reads a record.
   *
   * @param what the text is, and where it is from, for the message
   * @throws ActclipException bad input when it is not one
   */
  public static <T> T read(String text, Class<T> type, String what) {
    return read(parse(text, what), type, what);
  }

  /**
   * Reads a text without a look at what it means.
   *
   * @throws ActclipException bad input when it is no JSON
   */
  public static JsonNode parse(String text, String what) {
    try {
      return MAPPER.readTree(text);
    } catch (JsonProcessingException e) {
      throw unreadable(what, e);
    }
  }

  /** As the other one, of what {@link #parse} gave. */
  public static <T> T read(JsonNode json, Class<T> type, String what) {
    try {
      T value = MAPPER.treeToValue(json, type);
      if (value == null) {
        throw ActclipException.badInput("%s: it is null", what);
      }
      return value;
    } catch (JsonProcessingException e) {
      throw unreadable(what, e);
    }
  }

  private static ActclipException unreadable(String what, JsonProcessingException e) {
    return ActclipException.badInput("%s: %s", what, e.getOriginalMessage());
  }

  private static String write(ObjectWriter writer, Object value) {
    try {
      return writer.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a record of numbers and texts cannot fail to be JSON", e);
    }
  }
}
