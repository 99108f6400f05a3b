package io.github.actclip.data;

import static io.github.actclip.data.TestData.CIFAR_RECORD;
import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.cifarRecord;
import static io.github.actclip.data.TestData.decode;
import static io.github.actclip.data.TestData.write;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class Cifar10FilesTest {

  @TempDir Path folder;

  private ImageDataset load() {
    return ImageDataset.load(folder, Split.TRAIN);
  }

  @Test
  void readsTheLabelAndThenTheThreePlanes() throws IOException {
    byte[] record = cifarRecord(6, 10, 20, 30);
    record[1 + 33] = (byte) 200; // red, row 1, column 1
    record[1 + 1024 + 31] = (byte) 201; // green, row 0, column 31
    record[1 + 2048 + 31 * 32] = (byte) 202; // blue, row 31, column 0
    write(folder, "test_batch.bin", record);

    ImageDataset dataset = ImageDataset.load(folder, Split.TEST);

    assertEquals("CIFAR-10 images", dataset.name());
    assertEquals(1, dataset.size());
    assertEquals(6, dataset.label(0));
    float[] image = decode(dataset, 0);
    assertPixel(image, 0, 0, 10, 20, 30);
    assertPixel(image, 1, 1, 200, 20, 30);
    assertPixel(image, 0, 31, 10, 201, 30);
    assertPixel(image, 31, 0, 10, 20, 202);
    assertPixel(image, 31, 31, 10, 20, 30);
  }

  private static void assertPixel(float[] image, int y, int x, int red, int green, int blue) {
    int at = (y * 32 + x) * 3;
    float[] expected = {red / 255f, green / 255f, blue / 255f};
    assertEquals(Arrays.toString(expected), Arrays.toString(Arrays.copyOfRange(image, at, at + 3)));
  }

  @Test
  void readsAllTrainingFilesInTheOrderOfTheirNumbers() throws IOException {
    byte[] two = Arrays.copyOf(cifarRecord(2, 22, 0, 0), 2 * CIFAR_RECORD);
    System.arraycopy(cifarRecord(3, 33, 0, 0), 0, two, CIFAR_RECORD, CIFAR_RECORD);
    write(folder, "data_batch_10.bin", cifarRecord(9, 99, 0, 0));
    write(folder, "data_batch_2.bin", two);
    write(folder, "data_batch_1.bin", cifarRecord(1, 11, 0, 0));
    write(folder, "data_batch_x.bin", new byte[1]);
    write(folder, "test_batch.bin", cifarRecord(0, 0, 0, 0));

    ImageDataset dataset = load();

    int[] labels = {1, 2, 3, 9};
    assertEquals(labels.length, dataset.size());
    for (int i = 0; i < labels.length; i++) {
      assertEquals(labels[i], dataset.label(i));
      assertEquals(labels[i] * 11 / 255f, decode(dataset, i)[0]);
    }
  }

  @Test
  void looksIntoTheUsualSubfolder() throws IOException {
    write(folder.resolve("cifar-10-batches-bin"), "data_batch_1.bin", cifarRecord(5, 1, 2, 3));
    assertEquals(5, load().label(0));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "DATA_BATCH_1.BIN",
        "data_batch_1.bin/data_batch_1.bin",
        "cifar-10/cifar-10-batches-bin/data_batch_1.bin"
      })
  void readsTheLayoutsThatPeopleHave(String path) throws IOException {
    Path file = folder.resolve(path);
    write(file.getParent(), file.getFileName().toString(), cifarRecord(5, 1, 2, 3));
    assertEquals(1, load().size());
    assertEquals(5, load().label(0));
  }

  @Test
  void readsABatchOnceWhateverItsCase() throws IOException {
    write(folder, "data_batch_1.bin", cifarRecord(5, 1, 2, 3));
    write(folder, "DATA_BATCH_1.BIN", cifarRecord(6, 1, 2, 3));
    assumeTrue(folder.toFile().list().length == 2, "a file system that tells cases apart");
    assertEquals(1, load().size());
    assertEquals(5, load().label(0));
  }

  @Test
  void refusesAFolderInPlaceOfABatch() throws IOException {
    write(folder, "data_batch_1.bin", cifarRecord(5, 1, 2, 3));
    Files.createDirectory(folder.resolve("data_batch_2.bin"));
    assertBadInput(this::load, folder.resolve("data_batch_2.bin") + " is not a regular file");
  }

  @Test
  void refusesAMissingSplit() throws IOException {
    write(folder, "data_batch_1.bin", cifarRecord(0, 0, 0, 0));
    assertBadInput(
        () -> ImageDataset.load(folder, Split.TEST),
        folder.resolve("test_batch.bin"),
        "is missing");
    Files.move(folder.resolve("data_batch_1.bin"), folder.resolve("test_batch.bin"));
    assertBadInput(this::load, folder.resolve("data_batch_1.bin"), "is missing");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, CIFAR_RECORD - 1, CIFAR_RECORD + 1})
  void refusesAFileThatIsNotWholeRecords(int length) throws IOException {
    write(folder, "data_batch_1.bin", cifarRecord(0, 0, 0, 0));
    write(folder, "data_batch_2.bin", new byte[length]);
    assertBadInput(
        this::load,
        folder.resolve("data_batch_2.bin") + " is " + length + " bytes long",
        "3073 bytes");
  }

  @Test
  void refusesAnEmptyFile() throws IOException {
    write(folder, "data_batch_1.bin", new byte[0]);
    assertBadInput(this::load, folder.resolve("data_batch_1.bin"), "is empty");
  }

  @Test
  void refusesALabelThatIsNoClass() throws IOException {
    byte[] two = Arrays.copyOf(cifarRecord(9, 0, 0, 0), 2 * CIFAR_RECORD);
    two[CIFAR_RECORD] = 10;
    write(folder, "data_batch_1.bin", two);
    assertBadInput(
        this::load, folder.resolve("data_batch_1.bin") + " gives image 1 the label 10;", "0 to 9");
  }

  @Test
  void refusesMoreImagesThanCanBeHeld() throws IOException {
    Path file = folder.resolve("data_batch_1.bin");
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(1_000_000L * CIFAR_RECORD);
    }
    assertBadInput(this::load, folder, "has 1000000 images", "1 to 87381");
  }
}
