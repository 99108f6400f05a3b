package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.actclip.data.RandomCrop.Box;
import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.WritableRaster;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

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

  @TestFactory
  List<DynamicTest> randomPartsAreThoseOfTorchvision() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode item : expected().get("boxes")) {
      int height = item.get("height").asInt();
      int width = item.get("width").asInt();
      Iterator<JsonNode> random = item.get("random").iterator();
      tests.add(
          DynamicTest.dynamicTest(
              height + "×" + width,
              () -> {
                Box seen = Box.random(height, width, () -> random.next().asDouble());
                assertEquals(box(item), seen);
                assertFalse(random.hasNext());
              }));
    }
    return tests;
  }

  @TestFactory
  List<DynamicTest> partsAreResizedAsByTorchvision() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode item : expected().get("cropped")) {
      String file = item.get("file").asText();
      RandomCrop crop = new RandomCrop(item.get("size").asInt(), 0);
      Frame frame = (path, image, orientation) -> crop.of(path, image, orientation, box(item));
      double of255 = file.endsWith(".jpg") ? 2 : 0;
      tests.add(
          DynamicTest.dynamicTest(
              file + " " + item.get("box"),
              () -> {
                FramedImage image = FramedImage.read(FIXTURES.resolve(file), frame);
                assertEquals(crop.size(), image.rows());
                assertEquals(crop.size(), image.columns());
                assertArrayEquals(
                    channelsLast(floats(item.get("values"), 1)),
                    image.pixels(),
                    (float) (of255 / 255 + 1e-5));
              }));
    }
    return tests;
  }

  private static Box box(JsonNode item) {
    JsonNode box = item.get("box");
    return new Box(box.get(0).asInt(), box.get(1).asInt(), box.get(2).asInt(), box.get(3).asInt());
  }

  /** PIL has no such images: it takes the upper 8 bits of them. */
  @Test
  void sixteenBitsAChannelAreAsFineAsInTheFile(@TempDir Path folder) throws IOException {
    ColorModel model =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_sRGB),
            false,
            false,
            Transparency.OPAQUE,
            DataBuffer.TYPE_USHORT);
    WritableRaster raster = model.createCompatibleWritableRaster(7, 5);
    int[] samples = new Random(0).ints(7 * 5 * 3, 0, 1 << 16).toArray();
    raster.setPixels(0, 0, 7, 5, samples);
    Path file = folder.resolve("rgb16.png");
    ImageIO.write(new BufferedImage(model, raster, false, null), "png", file.toFile());
    float[] expected = new float[samples.length];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = samples[i] / 65535f;
    }
    assertArrayEquals(expected, FramedImage.read(file, Framing.NONE).pixels());
  }

  /** A reader may give a part of a larger image, whose bytes begin elsewhere. */
  @Test
  void aPartOfAnImageIsThatPart() {
    BufferedImage whole = new BufferedImage(9, 7, BufferedImage.TYPE_3BYTE_BGR);
    whole.getRaster().setPixels(0, 0, 9, 7, new Random(0).ints(9 * 7 * 3, 0, 256).toArray());
    BufferedImage part = whole.getSubimage(2, 3, 5, 4);
    float[] row = new float[4 * RgbRows.CHANNELS];
    new RgbRows(FIXTURES, part).read(1, 2, row);
    for (int x = 0; x < 4; x++) {
      int rgb = whole.getRGB(2 + 1 + x, 3 + 2);
      assertEquals(rgb >> 16 & 0xff, row[3 * x]);
      assertEquals(rgb >> 8 & 0xff, row[3 * x + 1]);
      assertEquals(rgb & 0xff, row[3 * x + 2]);
    }
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
