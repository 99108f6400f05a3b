package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.decode;
import static io.github.actclip.data.TestData.grey;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import java.util.zip.CRC32;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Crops, flips and normalised pixels, against those that PyTorch made. */
class AugmentationTest {

  private static final Fixture FIXTURE = Fixture.load("data");

  private static final Augmentation.Window WINDOW = new Augmentation.Window(32, 32, 3);

  static Stream<JsonNode> changed() {
    return StreamSupport.stream(FIXTURE.at("changed").spliterator(), false);
  }

  @ParameterizedTest
  @MethodSource("changed")
  void anImageIsCroppedFlippedAndNormalisedToTheLastBit(JsonNode expected) {
    float[] image = new float[PixelFormat.VALUES];
    WINDOW.crop(
        decode(colours(), 0), image, expected.get("down").asInt(), expected.get("right").asInt());
    if (expected.get("flipped").asBoolean()) {
      WINDOW.mirror(image);
    }
    assertEquals(expected.get("crc").asLong(), crc(image));
    Normalization normalization =
        new Normalization(
            boxed(FIXTURE.doubles("mean")).toList(), boxed(FIXTURE.doubles("std")).toList());
    assertEquals(expected.get("normalized_crc").asLong(), crc(apply(normalization, 0, image)));
  }

  /** The image of the fixture. */
  private static ImageDataset colours() {
    byte[] pixels = new byte[PixelFormat.VALUES];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (byte) (i * i / 7 + 31 * i);
    }
    return new ImageDataset("nowhere", "test", PixelFormat.RGB_32_PLANES, pixels, new byte[1]);
  }

  /** What becomes of one image, rows × columns × channels. */
  static float[] apply(Transform transform, long seed, float[] image) {
    float[] changed = new float[PixelFormat.VALUES];
    TensorScope.run(
        () -> {
          Tensor planes = torch.tensor(image).view(1, 32, 32, 3).permute(0, 3, 1, 2);
          Tensor result = transform.apply(planes, new long[] {seed});
          result.permute(0, 2, 3, 1).<FloatBuffer>createBuffer().get(changed);
        });
    return changed;
  }

  private static long crc(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    CRC32 crc = new CRC32();
    crc.update(bytes);
    return crc.getValue();
  }

  @Test
  void everyPlaceAndBothSidesAreEquallyLikely() {
    int padding = 2;
    int draws = 20_000;
    int[] counts = new int[50];
    float[] image = new float[PixelFormat.VALUES];
    // One pixel is white: where it is seen tells what was drawn.
    image[(16 * 32 + 10) * 3] = 1;
    Augmentation both = new Augmentation(padding, true);
    for (int i = 0; i < draws; i++) {
      float[] seen = apply(both, Seeds.ofSample(7, i / 100, i % 100), image);
      int at = 0;
      while (seen[at] == 0) {
        at += 3;
      }
      int row = at / 3 / 32;
      int column = at / 3 % 32;
      boolean flipped = column > 15;
      int right = padding + 10 - (flipped ? 31 - column : column);
      counts[((padding + 16 - row) * 5 + right) * 2 + (flipped ? 1 : 0)]++;
    }
    for (int count : counts) {
      // Five standard deviations of a binomial with n = 20,000, p = 1/50.
      assertEquals(400, count, 99, Arrays.toString(counts));
    }
  }

  @Test
  void withoutAFlipNoneIsFlippedAndWithoutACropNoneIsMoved() {
    float[] image = decode(colours(), 0);
    float[] mirrored = image.clone();
    WINDOW.mirror(mirrored);
    int flips = 0;
    for (int seed = 0; seed < 100; seed++) {
      float[] seen = apply(new Augmentation(0, true), seed, image);
      boolean flipped = Arrays.equals(mirrored, seen);
      flips += flipped ? 1 : 0;
      assertArrayEquals(flipped ? mirrored : image, seen);
      float[] moved = apply(new Augmentation(1, false), seed, image);
      assertFalse(Arrays.equals(mirrored, moved));
    }
    assertEquals(50, flips, 25);
  }

  /** A resumed run must see the pixels that the first one would have. */
  @Test
  void neverChanges() {
    float[] image = decode(colours(), 0);
    float[] seen = apply(new Augmentation(4, true), Seeds.ofSample(1, 2, 3), image);
    assertEquals(94_803_225L, crc(seen));
  }

  @Test
  void noneLeavesTheBits() {
    float[] image = decode(grey(3), 2);
    assertArrayEquals(image, apply(Augmentation.none(), 5, image));
    assertArrayEquals(image, apply(Normalization.none(), 5, image));
  }

  @Test
  void meanAndDeviationAreThoseOfTheImagesAsTheyAreSeen() {
    Normalization normalization = Normalization.of(ImageDataset.embedded(Split.TRAIN));
    for (int channel = 0; channel < 3; channel++) {
      // Pixels are rounded to float32 before they are summed up, in Python they are not.
      assertEquals(FIXTURE.at("embedded/mean").asDouble(), normalization.mean().get(channel), 1e-8);
      assertEquals(FIXTURE.at("embedded/std").asDouble(), normalization.std().get(channel), 1e-8);
    }
  }

  /** A training whose checkpoint has numbers that were summed up pixel by pixel goes on. */
  @Test
  void equalIsWhatDoesTheSameToAPixel() {
    Normalization counted = Normalization.of(ImageDataset.embedded(Split.TRAIN));
    Normalization summed =
        new Normalization(
            Collections.nCopies(3, 0.21823511859697975),
            Collections.nCopies(3, 0.33078674939244385));
    assertEquals(summed, counted);
    assertEquals(summed.hashCode(), counted.hashCode());
    assertNotEquals(summed.std(), counted.std());
    assertNotEquals(new Normalization(summed.mean(), Collections.nCopies(3, 0.3307868)), counted);
  }

  @Test
  void aChannelThatIsAllTheSameCannotBeNormalised() {
    for (int level = 0; level < 256; level++) {
      byte[] constant = new byte[7 * PixelFormat.VALUES];
      Arrays.fill(constant, (byte) level);
      assertBadInput(
          () -> Normalization.of(planes(constant)),
          "all values of channel 0 of test are " + (double) (level / 255f));
    }
  }

  /** One channel of three is enough. */
  @Test
  void oneConstantChannelCannotBeNormalised() {
    byte[] colour = new byte[PixelFormat.VALUES];
    Arrays.fill(colour, (byte) 100);
    for (int i = 0; i < 2048; i++) {
      colour[i] = (byte) i;
    }
    assertBadInput(
        () -> Normalization.of(planes(colour)), "all values of channel 2 of test are 0.392");
  }

  /** Where one of n pixels is d brighter: d/n above the others, d √(n − 1)/n. */
  @ParameterizedTest
  @ValueSource(ints = {0, 100, 127, 254})
  void onePixelPastTheOthersIsADeviation(int level) {
    int images = 300;
    byte[] pixels = new byte[images * PixelFormat.VALUES];
    Arrays.fill(pixels, (byte) level);
    for (int channel = 0; channel < 3; channel++) {
      pixels[channel * 1024] = (byte) (level + 1);
    }
    double n = images * 1024;
    double others = level / 255f;
    double brighter = (level + 1) / 255f - others;
    Normalization normalization = Normalization.of(planes(pixels));
    for (int channel = 0; channel < 3; channel++) {
      double mean = others + brighter / n;
      assertEquals(mean, normalization.mean().get(channel), Math.ulp(mean));
      double std = brighter * Math.sqrt(n - 1) / n;
      assertEquals(std, normalization.std().get(channel), 1e-12 * std);
    }
  }

  private static ImageDataset planes(byte[] pixels) {
    return new ImageDataset(
        "nowhere",
        "test",
        PixelFormat.RGB_32_PLANES,
        pixels,
        new byte[pixels.length / PixelFormat.VALUES]);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 32})
  void refusesAPaddingThatCannotBe(int padding) {
    assertBadInput(
        () -> new Augmentation(padding, false), "cropPadding (" + padding + ") must be 0 to 31");
  }

  @Test
  void refusesNumbersThatCannotNormalise() {
    List<Double> three = List.of(0.5, 0.5, 0.5);
    assertBadInput(
        () -> new Normalization(List.of(0.5), three),
        "mean ([0.5]) and std ([0.5, 0.5, 0.5])",
        "each channel");
    assertBadInput(
        () -> new Normalization(List.of(0.5, Double.NaN, 0.5), three), "mean ([0.5, NaN, 0.5])");
    assertBadInput(() -> new Normalization(three, List.of(0.5, 0.0, 0.5)), "std ([0.5, 0.0, 0.5])");
  }

  private static Stream<Double> boxed(double... values) {
    return Arrays.stream(values).boxed();
  }
}
