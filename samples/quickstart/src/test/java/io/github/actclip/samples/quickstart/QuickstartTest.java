package io.github.actclip.samples.quickstart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the programs print; of FineTuneThreshold the command line's tests know, who train for it.
 */
class QuickstartTest {

  @Test
  void theQuestionsScriptMovesTheThresholdByTheOptimizerAlone() {
    List<String> lines = printed(() -> Question.main(new String[0]));
    assertEquals("act_max before: 1.000000", lines.get(0));
    assertTrue(lines.get(1).startsWith("act_max after one epoch: "), lines + "");
    assertNotEquals("act_max after one epoch: 1.000000", lines.get(1));
  }

  @Test
  void aNetworkOfOnesOwnLearnsAndIsReported(@TempDir Path folder) {
    String[] run = {folder.resolve("run").toString()};
    List<String> lines = printed(() -> OwnNetwork.main(run));
    Matcher test =
        Pattern.compile("test: \\{loss=[0-9.]+, accuracy=([0-9.]+)}").matcher(lines.get(0));
    assertTrue(test.matches(), lines + "");
    assertTrue(Double.parseDouble(test.group(1)) > 0.7, lines + "");
    assertEquals("report: " + folder.resolve("run").resolve("report.html"), lines.get(1));
    assertTrue(Files.exists(folder.resolve("run").resolve("report.html")));
    assertEquals(lines, printed(() -> OwnNetwork.main(run)), "a training that is complete");
  }

  @Test
  void imagesOfOnesOwnAreLearnt(@TempDir Path folder) throws IOException {
    Random random = new Random(0);
    for (int i = 0; i < 40; i++) {
      String split = i < 32 ? "train" : "test";
      boolean sea = i % 2 == 0;
      Path file =
          folder.resolve(split + (sea ? "/sea/" : "/wood/") + i + (i % 3 == 0 ? ".png" : ".jpg"));
      write(file, random, sea ? 0x104080 : 0x106030);
    }
    String[] arguments = {folder.toString(), folder.resolve("run").toString()};
    List<String> lines = printed(() -> OwnImages.main(arguments));
    assertEquals("32 images of [sea, wood]", lines.get(0));
    assertTrue(lines.get(1).matches("test: \\{loss=[0-9.E-]+, accuracy=1.0}"), lines + "");
    assertTrue(Files.readString(folder.resolve("run/report.html")).contains("wood"));
  }

  /** A little brighter here and there, and of any size. */
  private static void write(Path file, Random random, int colour) throws IOException {
    int width = 50 + random.nextInt(100);
    int height = 50 + random.nextInt(100);
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < width * height; i++) {
      image.setRGB(i % width, i / width, colour + 0x010101 * random.nextInt(64));
    }
    Files.createDirectories(file.getParent());
    String name = file.toString();
    ImageIO.write(image, name.substring(name.length() - 3), file.toFile());
  }

  private static List<String> printed(Runnable program) {
    PrintStream out = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      program.run();
      return printed.toString(StandardCharsets.UTF_8).lines().toList();
    } finally {
      System.setOut(out);
    }
  }
}
