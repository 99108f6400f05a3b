package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Files of every kind, against what PIL and torchvision make of them; see make_images_fixture.py.
 */
class ImageFileTest {

  private static final Path FIXTURES = Path.of("src/test/resources/fixtures/images");

  /** Of 255: JPEG and WebP leave it to a decoder how it rounds; all else is the same. */
  private static final Map<String, Double> TOLERANCE = Map.of("jpg", 2.0, "lossy.webp", 2.0);

  private static JsonNode expected() throws IOException {
    return new ObjectMapper().readTree(FIXTURES.resolve("expected.json").toFile());
  }

  @TestFactory
  List<DynamicTest> pixelsAreThoseOfPil() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    JsonNode expected = expected();
    for (Map.Entry<String, JsonNode> file : expected.get("pixels").properties()) {
      String name = file.getKey();
      JsonNode pil = file.getValue();
      JsonNode exact = expected.get("exact").path(name);
      float[] pixels = exact.isMissingNode() ? floats(pil.get("rgb"), 255) : floats(exact, 1);
      String suffix = name.substring(name.lastIndexOf('.') + 1);
      double of255 = TOLERANCE.getOrDefault(name, TOLERANCE.getOrDefault(suffix, 0.0));
      tests.add(
          DynamicTest.dynamicTest(
              name,
              () -> {
                FramedImage image = FramedImage.read(FIXTURES.resolve(name), Framing.NONE);
                assertEquals(pil.get("height").asInt(), image.rows());
                assertEquals(pil.get("width").asInt(), image.columns());
                assertArrayEquals(pixels, image.pixels(), (float) (of255 / 255 + 1e-7));
              }));
    }
    return tests;
  }

  @TestFactory
  List<DynamicTest> resizedAndCroppedAsByTorchvision() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode item : expected().get("resized")) {
      String file = item.get("file").asText();
      Framing framing = new Framing(item.get("resize").asInt(), item.get("crop").asInt());
      double of255 = file.endsWith(".jpg") ? 2 : 0;
      tests.add(
          DynamicTest.dynamicTest(
              file + " " + framing.texts(),
              () -> {
                FramedImage image = FramedImage.read(FIXTURES.resolve(file), framing);
                assertEquals(framing.crop(), image.rows());
                assertEquals(framing.crop(), image.columns());
                assertArrayEquals(
                    channelsLast(floats(item.get("values"), 1)),
                    image.pixels(),
                    (float) (of255 / 255 + 1e-5));
              }));
    }
    return tests;
  }

  private static float[] floats(JsonNode array, float highest) {
    float[] values = new float[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).floatValue() / highest;
    }
    return values;
  }

  private static float[] channelsLast(float[] planes) {
    float[] pixels = new float[planes.length];
    for (int i = 0; i < planes.length; i++) {
      pixels[i] = planes[i % 3 * (planes.length / 3) + i / 3];
    }
    return pixels;
  }
}
