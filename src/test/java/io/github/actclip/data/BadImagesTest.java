package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is said of folders and images that cannot be used, and when. */
class BadImagesTest {

  @TempDir private Path folder;

  @BeforeEach
  void write() throws IOException {
    TestImages.write(folder);
  }

  private String refusal() {
    return TestImages.messageOf(() -> ImageFolder.of(folder));
  }

  /** What is said when the file is decoded, by the loader's consumer. */
  private String refusalOf(Path file) {
    ImageFolder images = ImageFolder.of(folder).resize(8);
    DataLoader loader = DataLoader.sequential(images, images.size(), Devices.of("cpu"));
    String message = TestImages.messageOf(() -> loader.iterator().next());
    assertTrue(message.startsWith(file + " "), message);
    return message.substring(file.toString().length() + 1);
  }

  @Test
  void foldersThatAreNoneAreRefused() throws IOException {
    Path none = folder.resolve("none");
    assertEquals(
        "The data folder " + none + " does not exist",
        TestImages.messageOf(() -> ImageFolder.of(none)));
    Path red = folder.resolve("red");
    assertEquals(
        red
            + " holds no folder; there has to be one for each class, with its images: the folder"
            + " holds a.JPG, b.png",
        TestImages.messageOf(() -> ImageFolder.of(red)));
    Files.createDirectories(folder.resolve("green"));
    assertEquals(
        folder.resolve("green") + " has no image for its class: there is no file", refusal());
    Files.writeString(folder.resolve("green/IMG_1.HEIC"), "an iPhone's");
    assertEquals(
        folder.resolve("green")
            + " has no image for its class: no reader for IMG_1.HEIC; IMG_1.HEIC is HEIC, as"
            + " telephones write it: convert it to JPEG or PNG",
        refusal());
  }

  /** By how they begin, whatever their names say; of raw images, by their names. */
  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      value = {
        "1.heic, ....ftypheic, HEIC",
        "1.jpg, ....ftypmif1, HEIC",
        "1.png, ....ftypavif, AVIF",
        "1.mov, ....ftypqt, a video",
        "1.jpg, ....ftypisom, a video",
        "1.jpg, ....JXL, JPEG XL",
        "1.jxl, ?, JPEG XL",
        "1.jp2, ....jP, JPEG 2000",
        "1.NEF, MM, a camera's raw image",
        "1.cr3, ....ftypcrx, a camera's raw image",
        "1.pdf, %PDF-1.4, PDF",
        "1.png, <?xml version='1.0'?><svg, SVG",
        "1.jpg, <!DOCTYPE html><html><svg, a web page",
        "1.jpg, version https://git-lfs.github.com/spec/v1, Git LFS's pointer",
        "1.zip, PK, packed",
        "1.psd, 8BPS, Photoshop's"
      })
  void formatsThatAreNotReadAreNamed(String name, String begin, String format) throws IOException {
    Path file = folder.resolve("green").resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, begin + "    and what comes then");
    String message = TestImages.messageOf(() -> ImageFolder.of(folder).resize(8).batch(0, 1, 2, 3));
    assertTrue(message.contains(name + " is " + format), message);
  }

  @Test
  void aJpegOfAnotherNameIsToBeRenamed() throws IOException {
    Path image = TestImages.write(folder, "red/a.jpg", 4, 4, 0);
    Files.createDirectories(folder.resolve("green"));
    Files.move(image, folder.resolve("green/a.jfif"));
    assertTrue(refusal().endsWith("a.jfif is JPEG: let its name end in .jpg"), refusal());
  }

  @Test
  void aNameThatEndsInADotSaysNothing() throws IOException {
    Files.createDirectories(folder.resolve("green"));
    Files.writeString(folder.resolve("green/photo."), "?");
    assertTrue(refusal().endsWith("no reader for photo."), refusal());
  }

  @Test
  void theFolderOfAllPartsIsRefused() throws IOException {
    Path all = folder.resolve("all");
    TestImages.write(folder, "all/train/cat/1.png", 4, 4, 0);
    TestImages.write(folder, "all/test/cat/1.png", 4, 4, 0);
    assertEquals(
        all
            + " holds "
            + all.resolve("test")
            + ", "
            + all.resolve("train")
            + ", which are parts of a data set and no classes: give one of them",
        TestImages.messageOf(() -> ImageFolder.of(all)));
  }

  @Test
  void emptyAndUnreadableFilesAreFoundAtOnce() throws IOException {
    Path file = Files.createFile(folder.resolve("red/0.png"));
    assertEquals(file + " is empty", refusal());
    Files.writeString(file, "text");
    assumeFalse(!file.toFile().setReadable(false) || Files.isReadable(file), "root reads all");
    assertEquals(file + " cannot be read: permission is missing", refusal());
  }

  @Test
  void linksToNothingAndToThemselvesAreRefused() throws IOException {
    Files.createSymbolicLink(folder.resolve("red/gone.png"), folder.resolve("nothing.png"));
    assertEquals(folder.resolve("red/gone.png") + " is a link to nothing", refusal());
    Files.delete(folder.resolve("red/gone.png"));
    Files.createSymbolicLink(folder.resolve("red/loop"), folder.resolve("red"));
    assertEquals(
        folder.resolve("red/loop") + " cannot be read: it is a link to a folder that it is in",
        refusal());
  }

  @Test
  void whatIsNoImageIsFoundWhenItIsDecoded() throws IOException {
    Path file = Files.writeString(folder.resolve("red/0.jpg"), "a text, whatever it is called\n");
    assertEquals(
        "is not an image, whatever its name says: it begins like none of the formats that are read",
        refusalOf(file));
  }

  @Test
  void whatIsCutOffIsFoundWhenItIsDecoded() throws IOException {
    for (String format : List.of("jpg", "png", "bmp", "gif", "tif")) {
      Path whole = TestImages.noise(folder, "red/0." + format);
      byte[] bytes = Files.readAllBytes(whole);
      for (int length : new int[] {bytes.length / 2, bytes.length * 9 / 10, 12}) {
        Files.write(whole, Arrays.copyOf(bytes, length));
        String message = refusalOf(whole);
        assertTrue(message.startsWith("is damaged or cut off: "), format + length + message);
      }
      Files.delete(whole);
    }
  }

  /** After its first scans it already has all rows, though blurred. */
  @Test
  void aProgressiveJpegThatIsCutOffIsRefused() throws IOException {
    Path whole = Path.of("src/test/resources/fixtures/images/progressive.jpg");
    byte[] bytes = Files.readAllBytes(whole);
    Path file = folder.resolve("red/0.jpg");
    for (int length = 200; length < bytes.length; length += 9) {
      Files.write(file, Arrays.copyOf(bytes, length));
      String message = refusalOf(file);
      assertTrue(message.startsWith("is damaged or cut off: "), length + message);
    }
  }

  /** For which nothing in the JDK writes: those of the fixtures. */
  @Test
  void webpThatIsCutOffOrDamagedIsRefusedInTime() throws IOException {
    Random random = new Random(2);
    Path fixtures = Path.of("src/test/resources/fixtures/images");
    Path file = folder.resolve("red/0.webp");
    for (String name : List.of("lossless.webp", "lossy.webp", "turned6.webp")) {
      byte[] bytes = Files.readAllBytes(fixtures.resolve(name));
      for (int length = 1; length < bytes.length; length += 12) {
        Files.write(file, Arrays.copyOf(bytes, length));
        refusalOf(file);
      }
      for (int i = 0; i < 40; i++) {
        byte[] damaged = bytes.clone();
        damaged[8 + random.nextInt(bytes.length - 8)] = (byte) random.nextInt();
        assertRefusedOrRead(file, damaged);
      }
    }
  }

  @Test
  void damagedBytesNeverDoMoreThanRefuse() throws IOException {
    Random random = new Random(1);
    for (String format : List.of("jpg", "png", "bmp", "gif", "tif")) {
      Path file = TestImages.noise(folder, "red/0." + format);
      byte[] bytes = Files.readAllBytes(file);
      for (int i = 0; i < 40; i++) {
        byte[] damaged = bytes.clone();
        for (int n = 0; n < 4; n++) {
          damaged[random.nextInt(i < 20 ? 200 : bytes.length)] = (byte) random.nextInt();
        }
        assertRefusedOrRead(file, damaged);
      }
      Files.delete(file);
    }
  }

  private static void assertRefusedOrRead(Path file, byte[] damaged) throws IOException {
    Files.write(file, damaged);
    try {
      FramedImage image = FramedImage.read(file, new Framing(8, 8));
      assertEquals(8, image.rows());
    } catch (ActclipException e) {
      assertTrue(e.getMessage().startsWith(file + " "), e.getMessage());
    }
  }

  @Test
  void aHugeImageIsRefusedByItsHeader() throws IOException {
    Path file = folder.resolve("red/0.png");
    Files.write(file, header(100_000, 100_000));
    assertEquals(
        "has 100000×100000 pixels; images of at most 89478485 are read: make it smaller",
        refusalOf(file));
  }

  @Test
  void aNameOfManyLinesIsSaidOnOne() throws IOException {
    Path file = folder.resolve("red/0\n1.png");
    Files.writeString(file, "text");
    ImageFolder images = ImageFolder.of(folder);
    String message = TestImages.messageOf(() -> images.batch(1));
    assertTrue(message.contains("0?1.png is not an image"), message);
  }

  @Test
  void sizesThatCannotBeAreRefused() {
    ImageFolder images = ImageFolder.of(folder);
    assertEquals(
        "resize(0) must be 1 to 8192 pixels", TestImages.messageOf(() -> images.resize(0)));
    assertEquals(
        "centerCrop(9000) must be 1 to 8192 pixels",
        TestImages.messageOf(() -> images.centerCrop(9000)));
    assertEquals(
        "centerCrop(9) is more than the 8 that the shorter side was resized to",
        TestImages.messageOf(() -> images.resize(8).centerCrop(9)));
    assertEquals(
        "resize(8) comes before centerCrop(4), as in torchvision: turn them round",
        TestImages.messageOf(() -> images.centerCrop(4).resize(8)));
    assertEquals(
        images.file(0) + " is 10×10, too small for centerCrop(11): resize it before",
        TestImages.messageOf(() -> images.centerCrop(11).batch(0)));
    assertEquals(
        "randomResizedCrop makes images of the size that was said: call resize before",
        TestImages.messageOf(images::randomResizedCrop));
    assertEquals(
        images.name() + " has no sample 3; its samples are 0 to 2",
        TestImages.messageOf(() -> images.batch(3)));
  }

  /** The first chunk of a PNG file, which says its size. */
  private static byte[] header(int width, int height) {
    byte[] chunk =
        ByteBuffer.allocate(17)
            .put(new byte[] {'I', 'H', 'D', 'R'})
            .putInt(width)
            .putInt(height)
            .put(new byte[] {8, 2, 0, 0, 0})
            .array();
    CRC32 crc = new CRC32();
    crc.update(chunk);
    return ByteBuffer.allocate(33)
        .putLong(0x89504e470d0a1a0aL)
        .putInt(13)
        .put(chunk)
        .putInt((int) crc.getValue())
        .array();
  }
}
