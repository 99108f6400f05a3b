package io.github.actclip.export;

import io.github.actclip.data.Normalization;
import io.github.actclip.io.Json;
import io.github.actclip.runtime.ActclipException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.LongStream;

/**
 * What an exported model is like: {@code OnnxOptions.of(3, 32, 32).classes(names)}.
 *
 * @param shape of one sample, as the network takes it, such as (3, 32, 32)
 * @param opset the version of ONNX's operators, {@value #MIN_OPSET} to {@value #MAX_OPSET}
 * @param normalization that the model is to apply to what it is given; none by default
 * @param bytes whether the model takes uint8, of which 0 to 255 are 0 to 1, in place of float32
 * @param notes metadata of the file, by name
 */
public record OnnxOptions(
    List<Long> shape,
    int opset,
    Normalization normalization,
    boolean bytes,
    Map<String, String> notes) {

  /** The name of the note with the names of the classes, a JSON array in their order. */
  public static final String CLASSES = "classes";

  private static final int DEFAULT_OPSET = 17;

  // Before 13, nothing is quantized by channel; from 22 on, ONNX Runtime 1.29 does not see that
  // pooling between two convolutions can stay in integers.
  private static final int MIN_OPSET = 13;
  private static final int MAX_OPSET = 21;

  /**
   * Checks the values.
   *
   * @throws ActclipException bad input, when one of them cannot be
   */
  public OnnxOptions {
    shape = List.copyOf(shape);
    Objects.requireNonNull(normalization, "normalization");
    notes = Collections.unmodifiableMap(new LinkedHashMap<>(notes));
    if (shape.isEmpty() || shape.stream().anyMatch(size -> size < 1)) {
      throw ActclipException.badInput(
          "the shape of a sample (%s) must be of numbers from 1, such as [3, 32, 32]", shape);
    }
    if (opset < MIN_OPSET || opset > MAX_OPSET) {
      throw ActclipException.badInput("opset (%d) must be %d to %d", opset, MIN_OPSET, MAX_OPSET);
    }
    int means = normalization.mean().size();
    if (!normalization.equals(Normalization.none()) && means != shape.get(0)) {
      throw ActclipException.badInput(
          "the normalization is of %d channels, and samples are of the shape %s", means, shape);
    }
  }

  /**
   * A model of opset 17 that takes float32 (N, …) as the network does.
   *
   * @param shape of one sample
   */
  public static OnnxOptions of(long... shape) {
    return new OnnxOptions(
        LongStream.of(shape).boxed().toList(),
        DEFAULT_OPSET,
        Normalization.none(),
        false,
        Map.of());
  }

  /** The same of another opset. */
  public OnnxOptions opset(int version) {
    return new OnnxOptions(shape, version, normalization, bytes, notes);
  }

  /** The same with a normalization in the model, which then takes pixels from 0 to 1. */
  public OnnxOptions normalization(Normalization included) {
    return new OnnxOptions(shape, opset, included, bytes, notes);
  }

  /** The same with an input of uint8, of which 0 to 255 are 0 to 1, before any normalization. */
  public OnnxOptions bytes(boolean taken) {
    return new OnnxOptions(shape, opset, normalization, taken, notes);
  }

  /** The same with the names of the classes in the file, as the note {@value #CLASSES}. */
  public OnnxOptions classes(List<String> names) {
    return note(CLASSES, Json.line(names));
  }

  /** The same with a note in the file. */
  public OnnxOptions note(String name, String text) {
    Map<String, String> more = new LinkedHashMap<>(notes);
    more.put(name, text);
    return new OnnxOptions(shape, opset, normalization, bytes, more);
  }

  /** The shape of so many samples. */
  long[] batch(long samples) {
    List<Long> all = new ArrayList<>(List.of(samples));
    all.addAll(shape);
    return all.stream().mapToLong(Long::longValue).toArray();
  }
}
