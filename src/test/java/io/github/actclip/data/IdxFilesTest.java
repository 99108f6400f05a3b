package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.decode;
import static io.github.actclip.data.TestData.gzip;
import static io.github.actclip.data.TestData.idx;
import static io.github.actclip.data.TestData.idxImages;
import static io.github.actclip.data.TestData.idxLabels;
import static io.github.actclip.data.TestData.write;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class IdxFilesTest {

  private static final String IMAGES = "train-images-idx3-ubyte";
  private static final String LABELS = "train-labels-idx1-ubyte";

  @TempDir Path folder;

  /** Two images: one all 10, one all 20; with labels 3 and 9. */
  private byte[] images;

  private byte[] labels;

  @BeforeEach
  void makeFiles() {
    byte[] pixels = new byte[2 * 784];
    Arrays.fill(pixels, 0, 784, (byte) 10);
    Arrays.fill(pixels, 784, 2 * 784, (byte) 20);
    images = idxImages(2, pixels);
    labels = idxLabels((byte) 3, (byte) 9);
  }

  private ImageDataset load() {
    return ImageDataset.load(folder, Split.TRAIN);
  }

  private void writeBoth() throws IOException {
    write(folder, IMAGES, images);
    write(folder, LABELS, labels);
  }

  private void assertIsTheTwoImages(ImageDataset dataset) {
    assertEquals("IDX images", dataset.name());
    assertEquals(2, dataset.size());
    assertEquals(10, dataset.numClasses());
    assertEquals(3, dataset.label(0));
    assertEquals(9, dataset.label(1));
    int middle = (16 * 32 + 16) * 3;
    assertEquals(10 / 255f, decode(dataset, 0)[middle]);
    assertEquals(20 / 255f, decode(dataset, 1)[middle]);
  }

  @Test
  void readsPlainFiles() throws IOException {
    writeBoth();
    assertIsTheTwoImages(load());
  }

  @Test
  void readsCompressedFiles() throws IOException {
    write(folder, IMAGES + ".gz", gzip(images));
    write(folder, LABELS + ".gz", gzip(labels));
    assertIsTheTwoImages(load());
  }

  @Test
  void knowsCompressionByContentNotByName() throws IOException {
    write(folder, IMAGES, gzip(images));
    write(folder, LABELS + ".gz", labels);
    assertIsTheTwoImages(load());
  }

  @Test
  void readsDottedNames() throws IOException {
    write(folder, "train-images.idx3-ubyte", images);
    write(folder, "train-labels.idx1-ubyte.gz", gzip(labels));
    assertIsTheTwoImages(load());
  }

  @Test
  void readsTheSplitThatIsAskedFor() throws IOException {
    writeBoth();
    write(folder, "t10k-images-idx3-ubyte", idxImages(1, new byte[784]));
    write(folder, "t10k-labels-idx1-ubyte", idxLabels((byte) 7));
    ImageDataset test = ImageDataset.load(folder, Split.TEST);
    assertEquals(1, test.size());
    assertEquals(7, test.label(0));
    assertIsTheTwoImages(load());
  }

  /** A dash or a dot, .gz or not, upper or lower case. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "train-images-idx3-ubyte,train-labels-idx1-ubyte.gz",
        "train-images.idx3-ubyte,train-labels.idx1-ubyte",
        "train-images.idx3-ubyte.gz,train-labels-idx1-ubyte",
        "TRAIN-IMAGES-IDX3-UBYTE,TRAIN-LABELS.IDX1-UBYTE.GZ",
        "Train-Images.Idx3-ubyte.gz,train-labels-idx1-UBYTE"
      })
  void readsTheNamesThatPeopleHave(String names) throws IOException {
    write(folder, names.split(",")[0], images);
    write(folder, names.split(",")[1], gzip(labels));
    assertIsTheTwoImages(load());
  }

  /** As Kaggle's MNIST has it, and 7-Zip; the folders are there beside or instead of the files. */
  @ParameterizedTest
  @CsvSource({
    "train-images-idx3-ubyte/train-images-idx3-ubyte, train-labels-idx1-ubyte/train-labels-idx1-ubyte",
    "train-images-idx3-ubyte/train-images.idx3-ubyte, train-labels.idx1-ubyte",
    "train-images.idx3-ubyte/TRAIN-IMAGES-IDX3-UBYTE.gz, train-labels-idx1-ubyte.gz"
  })
  void readsAFileInAFolderOfItsName(String imagesFile, String labelsFile) throws IOException {
    writeAt(imagesFile, images);
    writeAt(labelsFile, labels);
    assertIsTheTwoImages(load());
    assertEquals(folder.toString(), load().source());
  }

  @Test
  void readsDottedFilesBesideFoldersWithDashes() throws IOException {
    write(folder, "train-images.idx3-ubyte", images);
    write(folder, "train-labels.idx1-ubyte", labels);
    writeAt(IMAGES + "/readme.txt", new byte[1]);
    Files.createDirectory(folder.resolve(LABELS));
    assertIsTheTwoImages(load());
  }

  @Test
  void aFileIsNeverTakenForAFolder() throws IOException {
    writeBoth();
    write(folder, "MNIST", new byte[1]);
    assertIsTheTwoImages(load());
  }

  /** Each name holds other labels, so that one sees which was read. */
  @Test
  void readsTheFirstOfTheNamesInTheirOrder() throws IOException {
    List<String> order =
        List.of(
            LABELS,
            "TRAIN-labels-idx1-ubyte",
            LABELS + ".gz",
            "train-labels.idx1-ubyte",
            "train-labels.idx1-ubyte.gz",
            LABELS + ".GZ/" + LABELS,
            "raw/" + LABELS);
    for (int i = order.size() - 1; i >= 0; i--) {
      writeAt(order.get(i), idxLabels((byte) i, (byte) 9));
      writeAt(i == order.size() - 1 ? "raw/" + IMAGES : IMAGES, images);
      assertEquals(i, load().label(0), order.get(i));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"MNIST/raw", "fashion-mnist", "archive/train"})
  void looksIntoTheFoldersBelow(String below) throws IOException {
    write(folder.resolve(below), IMAGES, images);
    write(folder.resolve(below), LABELS + ".gz", gzip(labels));
    write(folder.resolve("other"), "readme.txt", new byte[1]);
    assertIsTheTwoImages(load());
    assertEquals(folder.toString(), load().source());
  }

  @Test
  void doesNotLookAnyFurtherBelow() throws IOException {
    write(folder.resolve("a/b/c"), IMAGES, images);
    write(folder.resolve("a/b/c"), LABELS, labels);
    assertBadInput(this::load, folder + " has neither IDX files", "; the folder holds a");
  }

  @Test
  void readsSplitsThatAreInFoldersOfTheirOwn() throws IOException {
    write(folder.resolve("train"), IMAGES, images);
    write(folder.resolve("train"), LABELS, labels);
    write(folder.resolve("test"), "t10k-images-idx3-ubyte", idxImages(1, new byte[784]));
    write(folder.resolve("test"), "t10k-labels-idx1-ubyte", idxLabels((byte) 7));
    assertIsTheTwoImages(load());
    assertEquals(7, ImageDataset.load(folder, Split.TEST).label(0));
  }

  @Test
  void refusesToChooseAmongDataSets() throws IOException {
    for (String below : List.of("MNIST/raw", "FashionMNIST/raw")) {
      write(folder.resolve(below), IMAGES, images);
      write(folder.resolve(below), LABELS, labels);
    }
    assertBadInput(
        this::load,
        folder + " holds several data sets: name one of ",
        folder.resolve("FashionMNIST/raw") + ", " + folder.resolve("MNIST/raw"));
  }

  @Test
  void saysThatALinkLeadsToNothing() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve(IMAGES), folder.resolve("elsewhere"));
    assertBadInput(
        this::load, folder + " has neither IDX files like ", link + " is a link to nothing");
  }

  /** As below the folder that torchvision is given, however far down each is. */
  @Test
  void refusesToChooseAmongDataSetsAtTwoDepths() throws IOException {
    write(folder.resolve("MNIST/raw"), IMAGES, images);
    write(folder.resolve("MNIST/raw"), LABELS, labels);
    write(folder.resolve("cifar-10-batches-bin"), "data_batch_1.bin", new byte[3073]);
    assertBadInput(
        this::load,
        folder + " holds several data sets: name one of ",
        folder.resolve("cifar-10-batches-bin") + ", " + folder.resolve("MNIST/raw"));
  }

  /** The images of one data set must not get the labels of another. */
  @Test
  void neverTakesImagesAndLabelsFromTwoFolders() throws IOException {
    write(folder.resolve("MNIST"), IMAGES, images);
    write(folder.resolve("FashionMNIST"), LABELS, labels);
    assertBadInput(this::load, folder + " holds several data sets: name one of ");
  }

  @Test
  void saysWhatItLookedForAndWhatIsThere() throws IOException {
    write(folder, IMAGES, images);
    write(folder, "train\nlabels", labels);
    assertBadInput(
        this::load,
        folder.resolve(LABELS) + " is missing, and so are " + LABELS + ".gz, ",
        "train-labels.idx1-ubyte, train-labels.idx1-ubyte.gz; the folder holds ",
        "train?labels, " + IMAGES);
  }

  private void writeAt(String path, byte[] content) throws IOException {
    Path file = folder.resolve(path);
    write(file.getParent(), file.getFileName().toString(), content);
  }

  @Test
  void refusesAMissingFile() throws IOException {
    write(folder, IMAGES, images);
    assertBadInput(this::load, folder.resolve(LABELS), "is missing");
    assertBadInput(
        () -> ImageDataset.load(folder, Split.TEST),
        folder.resolve("t10k-images-idx3-ubyte"),
        "is missing");
  }

  @Test
  void refusesAnEmptyFile() throws IOException {
    writeBoth();
    write(folder, LABELS, new byte[0]);
    assertBadInput(this::load, folder.resolve(LABELS), "is empty");
  }

  @Test
  void refusesAFolderInPlaceOfAFile() throws IOException {
    Files.createDirectory(folder.resolve(IMAGES));
    write(folder, LABELS, labels);
    assertBadInput(this::load, folder.resolve(IMAGES), "is not a regular file");
  }

  @Test
  void refusesAFileThatCannotBeRead() throws IOException {
    writeBoth();
    Path file = folder.resolve(IMAGES);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("---------"));
    assumeFalse(Files.isReadable(file), "root reads everything");
    assertBadInput(this::load, file, "cannot be read", "permission");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 15})
  void refusesAFileThatEndsInItsHeader(int length) throws IOException {
    writeBoth();
    write(folder, IMAGES, Arrays.copyOf(images, length));
    assertBadInput(
        this::load, folder.resolve(IMAGES), "ends after " + length + " bytes", "header of 16");
  }

  @Test
  void refusesCompressedNothing() throws IOException {
    writeBoth();
    write(folder, IMAGES, gzip(new byte[0]));
    assertBadInput(this::load, folder.resolve(IMAGES), "ends after 0 bytes");
  }

  @Test
  void refusesAWrongMagicNumber() throws IOException {
    writeBoth();
    write(folder, LABELS, images);
    assertBadInput(this::load, folder.resolve(LABELS), "0x00000803", "0x00000801");
    write(folder, IMAGES, idx(0x0d03, new int[] {1, 28, 28}, new byte[784]));
    assertBadInput(this::load, folder.resolve(IMAGES), "0x00000d03", "0x00000803");
  }

  @ParameterizedTest
  @CsvSource({"32,28", "28,32", "0,28", "-1,28"})
  void refusesOtherDimensions(int rows, int columns) throws IOException {
    writeBoth();
    write(folder, IMAGES, idx(0x0803, new int[] {2, rows, columns}, new byte[2 * 784]));
    assertBadInput(
        this::load,
        folder.resolve(IMAGES),
        Integer.toUnsignedString(rows) + "x" + columns,
        "28x28 is right");
  }

  @ParameterizedTest
  @CsvSource({"0,0", "-1,4294967295", "342393,342393", "2147483647,2147483647"})
  void refusesACountThatCannotBe(int count, String printed) throws IOException {
    writeBoth();
    for (UnaryOperator<byte[]> form : plainAndCompressed()) {
      write(folder, IMAGES, form.apply(idxImages(count, new byte[784])));
      assertBadInput(
          this::load, folder.resolve(IMAGES), "promises " + printed + " images", "1 to 342392");
    }
  }

  @Test
  void refusesAPlainFileThatIsNotAsLongAsItsHeaderSays() throws IOException {
    writeBoth();
    for (int length : new int[] {images.length - 1, images.length + 1}) {
      write(folder, IMAGES, Arrays.copyOf(images, length));
      assertBadInput(this::load, folder.resolve(IMAGES), length + " bytes", "promises 1584 bytes");
    }
  }

  @Test
  void refusesCompressedContentThatIsNotAsLongAsItsHeaderSays() throws IOException {
    writeBoth();
    write(folder, IMAGES, gzip(Arrays.copyOf(images, images.length - 1)));
    assertBadInput(this::load, folder.resolve(IMAGES), "has less than the 1584 bytes");
    write(folder, IMAGES, gzip(Arrays.copyOf(images, images.length + 1)));
    assertBadInput(this::load, folder.resolve(IMAGES), "has more than the 1584 bytes");
  }

  @Test
  void refusesAHugePromiseOfASmallCompressedFileBeforeItAllocates() throws IOException {
    writeBoth();
    byte[] file = gzip(idxImages(300_000, new byte[784]));
    write(folder, IMAGES, file);
    assertBadInput(
        this::load,
        folder.resolve(IMAGES),
        "is " + file.length + " bytes long, too short for the 235200016 bytes");
  }

  @Test
  void readsNoFurtherThanTheHeaderPromises() throws IOException {
    writeBoth();
    byte[] bomb = gzip(Arrays.copyOf(images, 100 << 20));
    write(folder, IMAGES, bomb);
    assertBadInput(this::load, folder.resolve(IMAGES), "has more than the 1584 bytes");
  }

  @Test
  void refusesADamagedCompressedFile() throws IOException {
    writeBoth();
    byte[] file = gzip(images);
    byte[] damagedTrailer = file.clone();
    damagedTrailer[file.length - 8] ^= 1;
    byte[] damagedHeader = file.clone();
    damagedHeader[2] = 7;
    byte[] cutShort = Arrays.copyOf(file, file.length - 12);
    for (byte[] damaged : new byte[][] {damagedTrailer, damagedHeader, cutShort}) {
      write(folder, IMAGES, damaged);
      assertBadInput(this::load, folder.resolve(IMAGES), "is not a sound gzip file: ");
    }
  }

  @Test
  void refusesACompressedFileOfManyEmptyMembers() throws IOException {
    writeBoth();
    byte[] member = gzip(new byte[0]);
    byte[] file = new byte[200_000 * member.length];
    for (int at = 0; at < file.length; at += member.length) {
      System.arraycopy(member, 0, file, at, member.length);
    }
    write(folder, IMAGES, file);
    assertBadInput(this::load, folder.resolve(IMAGES), "is not a sound gzip file: too many");
  }

  @Test
  void refusesAnotherNumberOfLabelsThanOfImages() throws IOException {
    writeBoth();
    write(folder, LABELS, idxLabels((byte) 3));
    assertBadInput(this::load, folder.resolve(LABELS) + " has 1 labels for the 2 images", IMAGES);
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 127, 128, 255})
  void refusesALabelThatIsNoClass(int label) throws IOException {
    writeBoth();
    write(folder, LABELS, idxLabels((byte) 9, (byte) label));
    assertBadInput(
        this::load,
        folder.resolve(LABELS) + " gives image 1 the label " + label + ";",
        "labels are 0 to 9");
  }

  private static Iterable<UnaryOperator<byte[]>> plainAndCompressed() {
    return Arrays.asList(UnaryOperator.identity(), TestData::gzip);
  }
}
