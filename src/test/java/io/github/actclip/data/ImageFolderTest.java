package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import java.util.zip.CRC32C;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which images of a folder there are, and what a batch of them is. */
class ImageFolderTest {

  @TempDir private Path folder;

  @BeforeEach
  void write() throws IOException {
    TestImages.write(folder);
  }

  @Test
  void classesAreTheFoldersByNameAndFilesAreByNameBelow() {
    ImageFolder images = ImageFolder.of(folder);
    assertEquals(List.of("blue", "red"), images.classes());
    assertEquals(3, images.size());
    assertEquals(folder.resolve("blue/2024/may/c d\u00fc.bmp"), images.file(0));
    assertEquals(folder.resolve("red/a.JPG"), images.file(1));
    assertEquals(folder.resolve("red/b.png"), images.file(2));
    assertEquals(folder.getFileName().toString(), images.name());
    assertEquals(folder.toString(), images.source());
    assertEquals(List.of(), images.transforms());
  }

  @Test
  void aBatchIsChannelsLastAndFromZeroToOne() {
    ImageFolder images = ImageFolder.of(folder).resize(9).centerCrop(8);
    assertEquals(List.of("Resize(9)", "CenterCrop(8)"), images.transforms());
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch batch = images.batch(2, 0);
      Tensor data = batch.data();
      assertArrayEquals(new long[] {2, 3, 8, 8}, data.shape());
      assertEquals(ScalarType.Float, data.scalar_type().intern());
      assertTrue(data.is_contiguous(MemoryFormat.ChannelsLast));
      float[] means = TestData.floats(data.mean(2, 3).flatten());
      assertArrayEquals(new float[] {1, 0, 0, 0, 0, 1}, means, 1e-6f);
      assertEquals(ScalarType.Long, batch.target().scalar_type().intern());
      assertEquals(1, batch.target().get(0).item_long());
      assertEquals(0, batch.target().get(1).item_long());
    }
  }

  @Test
  void withoutResizeImagesAreAsTheyAreAndOfOneSize() throws IOException {
    TestImages.write(folder, "red/c.png", 10, 10, 0);
    ImageFolder images = ImageFolder.of(folder);
    try (TensorScope scope = new TensorScope()) {
      assertArrayEquals(new long[] {1, 3, 12, 20}, images.batch(1).data().shape());
      assertArrayEquals(new long[] {2, 3, 10, 10}, images.batch(0, 3).data().shape());
      assertArrayEquals(
          new long[] {3, 3, 10, 10}, images.centerCrop(10).batch(0, 1, 2).data().shape());
      scope.noGrad();
    }
    String message = TestImages.messageOf(() -> images.batch(0, 1));
    assertTrue(message.contains("is seen 10×10 and "), message);
    assertTrue(message.endsWith("a.JPG 12×20, and a batch has images of one size: call resize"));
  }

  @Test
  void aTransformedTrainingGoesOnAsBefore() {
    Dataset images = ImageFolder.of(folder).resize(8).transformed(new Augmentation(2, true));
    DataLoader loader = DataLoader.shuffled(images, 2, 5, Devices.of("cpu"));
    for (int epoch = 0; epoch < 2; epoch++) {
      int samples = 0;
      for (Batch batch : loader.epoch(epoch)) {
        samples += (int) batch.data().size(0);
      }
      assertEquals(3, samples);
    }
    assertEquals("Resize(8)", images.transforms().get(0));
  }

  @Test
  void randomPartsDependOnSeedEpochAndNumberAlone() throws IOException {
    TestImages.noise(folder, "red/noise.png");
    ImageFolder images = ImageFolder.of(folder).resize(9).centerCrop(8);
    ImageFolder cropped = images.randomResizedCrop();
    assertEquals(List.of("RandomResizedCrop(8)"), cropped.transforms());
    float[] seen = pixels(cropped.ofEpoch(1, 0), 3);
    assertArrayEquals(seen, pixels(cropped.ofEpoch(1, 0), 3));
    assertArrayEquals(seen, pixels(cropped.ofEpoch(5, 7).ofEpoch(1, 0), 3));
    assertFalse(Arrays.equals(seen, pixels(cropped.ofEpoch(1, 1), 3)));
    assertFalse(Arrays.equals(seen, pixels(cropped.ofEpoch(2, 0), 3)));
    assertArrayEquals(pixels(images, 3), pixels(cropped, 3));
    assertArrayEquals(pixels(images, 3), pixels(cropped.like(folder).ofEpoch(1, 0), 3));
    Dataset transformed = cropped.transformed(new Augmentation(0, true)).ofEpoch(1, 0);
    assertTrue(
        Arrays.equals(seen, pixels(transformed, 3))
            || Arrays.equals(mirrored(seen), pixels(transformed, 3)));
  }

  /** A resumed run must see the pixels that the first one would have. */
  @Test
  void randomPartsNeverChange() {
    FramedImage image =
        FramedImage.read(
            Path.of("src/test/resources/fixtures/images/rgb.png"),
            new RandomCrop(8, Seeds.ofSample(Seeds.next(1), 2, 3)));
    CRC32C crc = new CRC32C();
    for (float value : image.pixels()) {
      crc.update(Math.round(255 * value));
    }
    assertEquals(2_930_655_594L, crc.getValue());
  }

  @Test
  void imagesAreDecodedOnceAsFarAsThereIsRoom() throws IOException {
    List<Integer> decoded = new ArrayList<>();
    IntFunction<FramedImage> decode =
        index -> {
          decoded.add(index);
          return new FramedImage(folder, 1, 2, new float[2 * RgbRows.CHANNELS]);
        };
    DecodedImages images = new DecodedImages(4, 2 * 24 + 23, decode);
    for (int index : new int[] {3, 1, 0, 2, 3, 1, 0, 2}) {
      images.apply(index);
    }
    assertEquals(List.of(3, 1, 0, 2, 0, 2), decoded);

    ImageFolder once = ImageFolder.of(folder).resize(8);
    float[] first = pixels(once, 2);
    Files.delete(folder.resolve("red/b.png"));
    assertArrayEquals(first, pixels(once, 2));
  }

  /** As two threads do. */
  @Test
  void anImageThatIsDecodedTwiceAtOnceCountsOnce() {
    List<Integer> decoded = new ArrayList<>();
    AtomicReference<DecodedImages> images = new AtomicReference<>();
    IntFunction<FramedImage> decode =
        index -> {
          decoded.add(index);
          if (decoded.size() == 1) {
            images.get().apply(index);
          }
          return new FramedImage(folder, 1, 2, new float[2 * RgbRows.CHANNELS]);
        };
    images.set(new DecodedImages(2, 2 * 24, decode));
    for (int index : new int[] {0, 1, 0, 1}) {
      images.get().apply(index);
    }
    assertEquals(List.of(0, 0, 1), decoded);
  }

  private static float[] pixels(Dataset images, int index) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return TestData.floats(images.batch(index).data().permute(0, 2, 3, 1).flatten());
    }
  }

  private static float[] mirrored(float[] pixels) {
    float[] mirrored = pixels.clone();
    new Augmentation.Window(8, 8, 3).mirror(mirrored);
    return mirrored;
  }

  @Test
  void aNormalizationIsThatOfThePixels() throws IOException {
    TestImages.write(folder, "green/0.png", 9, 9, 0x00ff00);
    Normalization normalization = Normalization.of(ImageFolder.of(folder).resize(8));
    double[] mean = normalization.mean().stream().mapToDouble(m -> m).toArray();
    assertArrayEquals(new double[] {0.5, 0.25, 0.25}, mean, 2e-3); // JPEG's red is 254 of 255
    assertEquals(Math.sqrt(0.25 * 0.75), normalization.std().get(1), 1e-6);
  }

  @Test
  void anotherFolderHasTheClassesAndTheSizeOfTheFirst(@TempDir Path test) throws IOException {
    TestImages.write(folder, "green/z.png", 4, 4, 0x00ff00);
    ImageFolder train = ImageFolder.of(folder).resize(4);
    Files.createDirectories(test.resolve("red"));
    Files.copy(folder.resolve("red/b.png"), test.resolve("red/1.png"));
    ImageFolder images = train.like(test);
    assertEquals(List.of("blue", "green", "red"), images.classes());
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      assertEquals(2, images.batch(0).target().get(0).item_long());
      assertArrayEquals(new long[] {1, 3, 4, 4}, images.batch(0).data().shape());
    }
    Files.move(test.resolve("red"), test.resolve("Red"));
    assertEquals(
        test.resolve("Red") + " is none of the 3 classes \"blue\", \"green\", \"red\"",
        TestImages.messageOf(() -> train.like(test)));
  }

  @Test
  void theChecksumKnowsNamesSizesAndContent() throws IOException {
    long before = ImageFolder.of(folder).checksum();
    assertEquals(before, ImageFolder.of(folder).resize(8).checksum());
    TestImages.write(folder, "red/b.png", 20, 12, 0xfe0000);
    long changed = ImageFolder.of(folder).checksum();
    assertNotEquals(before, changed);
    TestImages.write(folder, "red/b.png", 20, 12, 0xff0000);
    assertEquals(before, ImageFolder.of(folder).checksum());
    Files.move(folder.resolve("red/b.png"), folder.resolve("blue/b.png"));
    assertNotEquals(before, ImageFolder.of(folder).checksum());
  }

  @Test
  void whatSystemsLeaveIsNotSeen() throws IOException {
    Files.writeString(folder.resolve("red/.DS_Store"), "");
    Files.writeString(folder.resolve("red/._b.png"), "no image");
    Files.writeString(folder.resolve("red/Thumbs.db"), "");
    Files.writeString(folder.resolve("README.md"), "about it");
    Files.createDirectories(folder.resolve(".git"));
    Files.createDirectories(folder.resolve("__MACOSX"));
    Files.createDirectories(folder.resolve("red/.thumbnails"));
    Files.writeString(folder.resolve("red/.thumbnails/b.png"), "no image");
    Files.writeString(folder.resolve("red/labels.csv"), "a,b"); // of people: with a warning
    assertEquals(3, ImageFolder.of(folder).size());
  }

  @Test
  void linksAreFollowed() throws IOException {
    Files.createSymbolicLink(folder.resolve("sky"), folder.resolve("blue"));
    Files.createSymbolicLink(folder.resolve("red/d.png"), folder.resolve("red/b.png"));
    ImageFolder images = ImageFolder.of(folder).resize(8);
    assertEquals(List.of("blue", "red", "sky"), images.classes());
    assertEquals(5, images.size());
    TensorScope.run(() -> images.batch(0, 1, 2, 3, 4));
  }

  @Test
  void aLongImageTakesNoMoreThanWhatIsSeenOfIt() throws IOException {
    TestImages.write(folder, "red/c.png", 300_000, 1, 0xff0000);
    ImageFolder images = ImageFolder.of(folder).resize(4096);
    FramedImage image = FramedImage.read(images.file(3), new Framing(4096, 16));
    assertEquals(16, image.columns());
    assertEquals(1, image.pixels()[0], 1e-6);
    assertFalse(image.pixels()[1] > 1e-6);
  }
}
