package io.github.actclip.samples.service;

import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.Sample;
import io.javalin.http.ContentType;
import io.javalin.http.Context;
import io.javalin.http.Header;
import io.javalin.http.HttpStatus;
import java.io.ByteArrayInputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What a request asks: its body as a sample, and its query. */
final class Question {

  private final Context request;
  private final Map<String, List<String>> query;

  /**
   * Reads the query.
   *
   * @param names that it may have
   */
  Question(Context request, Set<String> names) {
    this.request = request;
    query = query(request);
    for (Map.Entry<String, List<String>> entry : query.entrySet()) {
      if (!names.contains(entry.getKey())) {
        throw bad("There is no %s in the query: it may have %s.", entry.getKey(), names);
      }
      if (entry.getValue().size() > 1) {
        throw bad("The query has %s more than once.", entry.getKey());
      }
    }
  }

  private static Map<String, List<String>> query(Context request) {
    try {
      return request.queryParamMap();
    } catch (IllegalArgumentException e) { // such as a % before what is no number
      throw bad("The query (%s) is not encoded as one.", request.queryString());
    }
  }

  private static RuntimeException bad(String sentence, Object... args) {
    return Refusals.of(HttpStatus.BAD_REQUEST, String.format(Locale.ROOT, sentence, args));
  }

  /** A whole number from 1 on. */
  int number(String name, int otherwise) {
    String text = text(name, String.valueOf(otherwise));
    if (!text.matches("[1-9][0-9]{0,8}")) {
      throw bad("%s (%s) must be a whole number from 1 on.", name, text);
    }
    return Integer.parseInt(text);
  }

  /** True or false. */
  boolean flag(String name) {
    String text = text(name, "false");
    if (!text.equals("true") && !text.equals("false")) {
      throw bad("%s (%s) must be true or false.", name, text);
    }
    return text.equals("true");
  }

  private String text(String name, String otherwise) {
    return query.getOrDefault(name, List.of(otherwise)).get(0);
  }

  /** The body: of an image's file, or of its pixels. */
  Sample sample(Predictor predictor) {
    if (request.header(Header.CONTENT_ENCODING) != null) {
      throw Refusals.of(
          HttpStatus.UNSUPPORTED_MEDIA_TYPE,
          "The body must not be compressed: images are already.");
    }
    String type = type();
    boolean isImage = type.startsWith("image/");
    if (!isImage && !type.equals(ContentType.OCTET_STREAM)) {
      throw Refusals.of(
          HttpStatus.UNSUPPORTED_MEDIA_TYPE,
          "The Content-Type ("
              + type
              + ") must be image/png or image/jpeg, or application/octet-stream for raw pixels.");
    }
    byte[] body = request.bodyAsBytes();
    if (body.length == 0) {
      throw bad("The body is empty: it must be an image.");
    }
    return isImage
        ? predictor.sample(new ByteArrayInputStream(body))
        : predictor.sample(ByteBuffer.wrap(body));
  }

  /** Without parameters; empty where there is none. */
  private String type() {
    String header = request.contentType();
    return header == null ? "" : header.replaceFirst(";.*", "").trim().toLowerCase(Locale.ROOT);
  }
}
