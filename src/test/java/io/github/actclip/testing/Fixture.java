package io.github.actclip.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.stream.LongStream;
import java.util.stream.StreamSupport;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What Python's PyTorch made; see the generators in src/test/python. */
public final class Fixture {

  private final JsonNode root;

  private Fixture(JsonNode root) {
    this.root = root;
  }

  /** Reads {@code src/test/resources/fixtures/NAME.json}. */
  public static Fixture load(String name) {
    try (InputStream in = Fixture.class.getResourceAsStream("/fixtures/" + name + ".json")) {
      return new Fixture(new ObjectMapper().readTree(in));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The value at that path, such as {@code "sgd/losses"}. */
  public JsonNode at(String path) {
    JsonNode node = root.at("/" + path);
    if (node.isMissingNode()) {
      throw new AssertionError("the fixture has no " + path);
    }
    return node;
  }

  /** The numbers at that path. */
  public double[] doubles(String path) {
    return doubles(at(path));
  }

  /** The whole tensor at that path, in float64. */
  public Tensor tensor(String path) {
    return Tensor.create(doubles(path + "/values"), longs(at(path + "/shape")));
  }

  /**
   * Compares a tensor with the summary at that path: its shape, its sampled values, its sum and its
   * norm.
   *
   * @param tolerance relative to the tensor's largest sampled magnitude; for the sum, relative to
   *     what the values would sum up to if they had one sign
   */
  public void assertTensor(String path, Tensor actual, double tolerance) {
    JsonNode expected = at(path);
    assertArrayEquals(longs(expected.get("shape")), actual.shape(), path + ": shape");
    double[] values = values(actual);
    double[] expectedValues = doubles(expected.get("values"));
    long[] at = longs(expected.get("at"));
    double scale = 0;
    for (double value : expectedValues) {
      scale = Math.max(scale, Math.abs(value));
    }
    for (int i = 0; i < at.length; i++) {
      assertEquals(
          expectedValues[i], values[(int) at[i]], tolerance * scale, path + " at " + at[i]);
    }
    double norm =
        Math.sqrt(LongStream.range(0, values.length).mapToDouble(i -> sq(values, i)).sum());
    assertEquals(expected.get("norm").asDouble(), norm, tolerance * norm, path + ": norm");
    double sum = LongStream.range(0, values.length).mapToDouble(i -> values[(int) i]).sum();
    double sumScale = norm * Math.sqrt(values.length);
    assertEquals(expected.get("sum").asDouble(), sum, tolerance * sumScale, path + ": sum");
  }

  /** The values in the order of the indices, whatever the strides and the device. */
  public static double[] values(Tensor tensor) {
    try (Tensor flat = tensor.detach().cpu().to(ScalarType.Double).contiguous()) {
      double[] values = new double[(int) flat.numel()];
      if (values.length == 0) { // It has no memory.
        return values;
      }
      java.nio.DoubleBuffer buffer = flat.createBuffer();
      buffer.get(values);
      return values;
    }
  }

  private static double sq(double[] values, long i) {
    return values[(int) i] * values[(int) i];
  }

  private static double[] doubles(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false)
        .mapToDouble(JsonNode::asDouble)
        .toArray();
  }

  private static long[] longs(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).mapToLong(JsonNode::asLong).toArray();
  }
}
