package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.ImageIO;

/** Image files that tests write. */
final class TestImages {

  private TestImages() {}

  /** Two classes: red ones of 20×12, a blue one of 10×10 further down. */
  static void write(Path folder) throws IOException {
    write(folder, "red/b.png", 20, 12, 0xff0000);
    write(folder, "red/a.JPG", 20, 12, 0xff0000);
    write(folder, "blue/2024/may/c d\u00fc.bmp", 10, 10, 0x0000ff);
  }

  /** An image of one colour. */
  static Path write(Path folder, String name, int width, int height, int rgb) throws IOException {
    int[] pixels = new int[width * height];
    Arrays.fill(pixels, rgb);
    return write(folder.resolve(name), width, pixels);
  }

  /** An image of 64×64 that no format can make small. */
  static Path noise(Path folder, String name) throws IOException {
    return write(folder.resolve(name), 64, new Random(0).ints(64 * 64).toArray());
  }

  private static Path write(Path file, int width, int[] pixels) throws IOException {
    int height = pixels.length / width;
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, width, height, pixels, 0, width);
    Files.createDirectories(file.getParent());
    String name = file.getFileName().toString();
    String format = name.substring(name.lastIndexOf('.') + 1);
    assertTrue(ImageIO.write(image, format, file.toFile()), name);
    return file;
  }

  /** What is said of bad input, on one line. */
  static String messageOf(Runnable what) {
    ActclipException e = assertThrows(ActclipException.class, what::run);
    assertTrue(e.isBadInput());
    assertEquals(1, e.getMessage().lines().count());
    return e.getMessage();
  }
}
