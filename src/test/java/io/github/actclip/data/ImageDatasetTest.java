package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.decode;
import static io.github.actclip.data.TestData.grey;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class ImageDatasetTest {

  /** CRC-32C of "123456789", 775 zeros and a 7, by a table of its polynomial in Python. */
  private static final long CHECKSUM = 0x812f4321L;

  private static final Path FASHION_MNIST = Path.of("/usr/share/datasets/fashion-mnist");

  @Test
  void padsGreyImagesAndRepeatsThemToThreeChannels() {
    float[] image = decode(grey(2), 1);
    for (int y = 0; y < 32; y++) {
      for (int x = 0; x < 32; x++) {
        boolean padding = y < 2 || y >= 30 || x < 2 || x >= 30;
        float expected = padding ? 0 : TestData.greyPixel(1, (y - 2) * 28 + x - 2) / 255f;
        for (int channel = 0; channel < 3; channel++) {
          assertEquals(expected, image[(y * 32 + x) * 3 + channel], y + "," + x + "," + channel);
        }
      }
    }
  }

  @Test
  void mapsBytesToZeroToOne() {
    byte[] pixels = new byte[3072];
    pixels[1] = 51;
    pixels[2] = (byte) 255;
    float[] image =
        decode(
            new ImageDataset("nowhere", "test", PixelFormat.RGB_32_PLANES, pixels, new byte[1]), 0);
    assertEquals(0f, image[0]);
    assertEquals(0.2f, image[3]);
    assertEquals(1f, image[6]);
  }

  @Test
  void saysWhereItCameFrom(@TempDir Path folder) throws IOException {
    assertEquals("embedded", ImageDataset.embedded(Split.TEST).source());
    TestData.write(folder, "t10k-images-idx3-ubyte", TestData.idxImages(1, new byte[784]));
    TestData.write(folder, "t10k-labels-idx1-ubyte", TestData.idxLabels((byte) 3));
    assertEquals(folder.toString(), ImageDataset.load(folder, Split.TEST).source());
    TestData.write(folder.resolve("cifar"), "test_batch.bin", TestData.cifarRecord(1, 2, 3, 4));
    Path cifar = folder.resolve("cifar");
    assertEquals(cifar.toString(), ImageDataset.load(cifar, Split.TEST).source());
  }

  @Test
  void theChecksumIsThatOfPixelsAndLabels() {
    byte[] nineDigits = new byte[784];
    System.arraycopy("123456789".getBytes(StandardCharsets.US_ASCII), 0, nineDigits, 0, 9);
    ImageDataset dataset =
        new ImageDataset("nowhere", "test", PixelFormat.GREY_28, nineDigits, new byte[] {7});
    assertEquals(CHECKSUM, dataset.checksum());
    assertEquals(dataset.checksum(), dataset.checksum());
    nineDigits[783] = 1;
    assertNotEquals(
        CHECKSUM,
        new ImageDataset("nowhere", "test", PixelFormat.GREY_28, nineDigits, new byte[] {7})
            .checksum());
    nineDigits[783] = 0;
    assertNotEquals(
        CHECKSUM,
        new ImageDataset("nowhere", "test", PixelFormat.GREY_28, nineDigits, new byte[] {8})
            .checksum());
  }

  @Test
  void refusesAnImageThatIsNotThere() {
    assertBadInput(() -> grey(3).label(3), "no image 3", "0 to 2");
    assertBadInput(() -> grey(3).label(-1), "no image -1", "0 to 2");
  }

  @Test
  void refusesAFolderThatIsNone(@TempDir Path folder) throws IOException {
    Path missing = folder.resolve("missing");
    assertBadInput(() -> ImageDataset.load(missing, Split.TRAIN), missing, "does not exist");
    Path file = Files.createFile(folder.resolve("file"));
    assertBadInput(() -> ImageDataset.load(file, Split.TRAIN), file, "is not a folder");
  }

  @Test
  void refusesAFolderOfNeitherFormat(@TempDir Path folder) throws IOException {
    Files.createFile(folder.resolve("cat.png"));
    assertBadInput(
        () -> ImageDataset.load(folder, Split.TRAIN),
        folder + " has neither",
        "train-images-idx3-ubyte",
        "data_batch_1.bin");
  }

  /** Data sets that people have in other forms. */
  @ParameterizedTest
  @CsvSource({
    "cifar-10-batches-py/data_batch_1, Python version, cifar-10-binary.tar.gz",
    "data_batch_5, Python version, cifar-10-binary.tar.gz",
    "fashion-mnist_train.csv, CSV, IDX files",
    "digits/TRAIN.CSV, CSV, IDX files",
    "cifar-10-binary.tar.gz, is packed, unpack it",
    "cifar-100-binary/train.bin, is of CIFAR-100, only CIFAR-10",
    "gzip/emnist-digits-train-images-idx3-ubyte.gz, is of EMNIST, transposed"
  })
  void saysWhatToDoWithOtherForms(String file, String what, String advice, @TempDir Path folder)
      throws IOException {
    Path path = folder.resolve(file);
    TestData.write(path.getParent(), path.getFileName().toString(), new byte[10]);
    assertBadInput(
        () -> ImageDataset.load(folder, Split.TRAIN), folder + " has neither", what, advice);
  }

  @Test
  void saysWhenThereIsNothingAtAll(@TempDir Path folder) {
    assertBadInput(
        () -> ImageDataset.load(folder, Split.TRAIN),
        folder + " has neither",
        "the folder is empty");
  }

  @ParameterizedTest
  @CsvSource({"TRAIN,800", "TEST,200"})
  void embeddedImagesAreBalanced(Split split, int perClass) {
    ImageDataset embedded = ImageDataset.embedded(split);
    assertEquals("Fashion-MNIST subset (embedded)", embedded.name());
    int[] counts = new int[10];
    for (int i = 0; i < embedded.size(); i++) {
      counts[embedded.label(i)]++;
    }
    int[] expected = new int[10];
    Arrays.fill(expected, perClass);
    assertEquals(Arrays.toString(expected), Arrays.toString(counts));
  }

  /** The checksums are printed by src/test/python/make_embedded_images.py. */
  @ParameterizedTest
  @CsvSource({
    "TRAIN,a739d2f11870b3e028c016a46903ecc59224ca1d32e772093c3671947e8e4f05",
    "TEST,9ef7140f8d66ebd3256dbc6758237e4831750da6abce03e9c3676bf96f134b10"
  })
  void embeddedImagesAreThoseThatTheScriptChose(Split split, String checksum)
      throws NoSuchAlgorithmException {
    ImageDataset embedded = ImageDataset.embedded(split);
    MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
    for (int i = 0; i < embedded.size(); i++) {
      sha256.update(greyBytes(embedded, i));
    }
    for (int i = 0; i < embedded.size(); i++) {
      sha256.update((byte) embedded.label(i));
    }
    assertEquals(checksum, HexFormat.of().formatHex(sha256.digest()));
  }

  @ParameterizedTest
  @EnumSource
  void embeddedImagesAreInTheWholeOfFashionMnist(Split split) {
    assumeTrue(Files.isDirectory(FASHION_MNIST), "apt-get install dataset-fashion-mnist");
    ImageDataset whole = ImageDataset.load(FASHION_MNIST, split);
    assertEquals(split == Split.TRAIN ? 60_000 : 10_000, whole.size());
    Set<ByteBuffer> all = new HashSet<>();
    for (int i = 0; i < whole.size(); i++) {
      all.add(labelled(whole, i));
    }
    ImageDataset embedded = ImageDataset.embedded(split);
    for (int i = 0; i < embedded.size(); i++) {
      assertTrue(all.contains(labelled(embedded, i)), "embedded image " + i);
    }
  }

  private static ByteBuffer labelled(ImageDataset dataset, int index) {
    return ByteBuffer.allocate(785)
        .put(greyBytes(dataset, index))
        .put((byte) dataset.label(index))
        .flip();
  }

  /** The 28×28 bytes that a decoded image was made of. */
  private static byte[] greyBytes(ImageDataset dataset, int index) {
    float[] image = decode(dataset, index);
    byte[] grey = new byte[784];
    for (int i = 0; i < grey.length; i++) {
      int at = ((i / 28 + 2) * 32 + i % 28 + 2) * 3;
      grey[i] = (byte) Math.round(image[at] * 255);
    }
    return grey;
  }
}
