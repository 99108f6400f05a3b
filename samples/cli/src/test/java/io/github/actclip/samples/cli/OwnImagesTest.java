package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code --data} of images in a folder for each class. */
class OwnImagesTest {

  @TempDir private Path folder;

  private Path photos;

  /** Three classes that differ in their colour. */
  @BeforeEach
  void write() throws IOException {
    photos = folder.resolve("photos");
    String[] classes = {"fire", "sea", "wood"};
    Random random = new Random(0);
    for (int i = 0; i < 48; i++) {
      String name = (i < 36 ? "train/" : "val/") + classes[i % 3] + "/" + i + ".jpg";
      Path file = photos.resolve(name);
      BufferedImage image = new BufferedImage(40 + i, 60, BufferedImage.TYPE_INT_RGB);
      for (int at = 0; at < image.getWidth() * 60; at++) {
        int level = 96 + random.nextInt(32);
        image.setRGB(at % image.getWidth(), at / image.getWidth(), level << 8 * (2 - i % 3));
      }
      Files.createDirectories(file.getParent());
      assertTrue(ImageIO.write(image, "jpg", file.toFile()));
    }
  }

  @Test
  void areTrainedTestedAndGoneOnWith() throws Exception {
    Path out = folder.resolve("run");
    Result result =
        Forked.start(
                "train",
                "--data=" + photos,
                "--image-size=24",
                "--epochs=8",
                "--batch-size=6",
                "--lr=0.01",
                "--flip",
                "--random-crop",
                "--device=cpu",
                "--out=" + out)
            .await();
    assertEquals(0, result.status(), result.err());
    assertEquals(100, result.accuracy(), result.out());
    Result evaluation = InThisJvm.run("evaluate", "--model=" + out, "--device=cpu");
    assertEquals(0, evaluation.status(), evaluation.err());
    assertEquals(result.test(), evaluation.test());
    assertPredicted(out);
    Result on = Forked.start("train", "--resume=" + out, "--epochs=9", "--device=cpu").await();
    assertEquals(0, on.status(), on.err());
    assertTrue(Files.readString(out.resolve("report.html")).contains("wood"));
    assertRefused(
        "The images of embedded are 32×32 and cannot be 24×24",
        "evaluate",
        "--model=" + out,
        "--data=embedded");
  }

  /** 36 to 47 are of the classes by turns, and none was trained with. */
  private void assertPredicted(Path out) throws IOException {
    Path wood = photos.resolve("val/wood/38.jpg");
    Path fire = photos.resolve("val/fire/36.jpg");
    Result one = InThisJvm.run("predict", "--model=" + out, wood.toString(), fire.toString());
    assertEquals(0, one.status(), one.err());
    assertTrue(
        one.out().matches("(?s)\\S+38.jpg wood [01]\\.\\d{4}\\R\\S+36.jpg fire .*"), one.out());

    Path broken = Files.writeString(folder.resolve("broken.png"), "%PDF");
    Path model = out.resolve("model.safetensors");
    Result some =
        InThisJvm.run(
            "predict", "--json", "--top=2", "--model=" + model, broken.toString(), fire.toString());
    assertEquals(2, some.status());
    assertEquals("samples/run: " + broken + " is PDF: save its pages as PNG\n", some.err());
    assertTrue(some.out().contains("\"top\":[{\"index\":0,\"label\":\"fire\","), some.out());
    assertEquals(1, some.out().lines().count());
  }

  @Test
  void thatCannotBeUsedAreRefused() throws IOException {
    assertRefused(
        "imageSize (8) must be 16 to 4096", "train", "--data=" + photos, "--image-size=8");
    assertRefused("cannot be 48×48", "train", "--image-size=48");
    assertRefused("The images of embedded are 32×32 already", "train", "--random-crop");
    Path broken = photos.resolve("train/sea/broken.png");
    Files.writeString(broken, "no image");
    assertRefused(broken + " is not an image", "train", "--normalize", "--data=" + photos);
    Path telephone = folder.resolve("telephone/train/sea/IMG_1.HEIC");
    Files.createDirectories(telephone.getParent());
    Files.writeString(telephone, "HEIC");
    assertRefused("IMG_1.HEIC is HEIC", "train", "--data=" + folder.resolve("telephone"));
    Files.move(photos.resolve("val"), photos.resolve("other"));
    assertRefused("and no folder test or val like it", "train", "--data=" + photos);
  }

  private static void assertRefused(String reason, String... command) {
    Result result = InThisJvm.run(command);
    assertEquals(2, result.status(), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().contains(reason), result.err());
  }
}
