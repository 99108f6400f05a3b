package io.github.actclip.samples.benchmark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.awt.image.BufferedImage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;
import javax.imageio.ImageIO;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class ScalingTest {

  private static final int MEGABYTE = 1_000_000;

  @TempDir Path folder;

  @Test
  void measuresBatchesThenLargerImages() {
    Scaling scaling = new Scaling(1, 1, Devices.of("cpu"));
    List<Scaling.Point> points = scaling.measure(List.of(1, 64), List.of(16, 32));
    assertEquals(
        List.of(List.of(1, 16), List.of(64, 16), List.of(16, 32)),
        points.stream().map(point -> List.of(point.batchSize(), point.imageSize())).toList());
    for (Scaling.Point point : points) {
      assertTrue(point.millisAnImage() > 0 && point.convolutions() > 0, point + "");
    }
  }

  /** The images, 12 kB each, and what conv1 makes of them, 100 kB, are the least. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void anImagesMemoryIsKnown() {
    Scaling scaling = new Scaling(1, 1, Devices.of("cpu"));
    double megabytes = scaling.measure(List.of(64), List.of(32)).get(0).megabytesAnImage();
    assertTrue(megabytes > 0.112 && megabytes < 5, megabytes + " MB");
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void thePeakIsWhatATaskTakesAtOnce() {
    OptionalLong peak =
        PeakMemory.of(
            () -> {
              for (int i = 0; i < 3; i++) {
                TensorScope.run(() -> torch.ones(25 * MEGABYTE));
              }
            });
    long megabytes = peak.orElseThrow() / MEGABYTE;
    assertTrue(megabytes >= 95 && megabytes < 150, megabytes + " MB");
  }

  @Test
  void thePlotHasALineForEachNumberOfThreads() throws Exception {
    Path file = folder.resolve("scaling.png");
    ScalingPlot.write(points(1), file);
    Set<Integer> withOne = colours(ImageIO.read(file.toFile()));
    ScalingPlot.write(List.of(points(1), points(2)).stream().flatMap(List::stream).toList(), file);
    BufferedImage plot = ImageIO.read(file.toFile());
    assertTrue(plot.getWidth() > 800 && plot.getHeight() > 500, plot + "");
    assertTrue(colours(plot).size() > withOne.size());
  }

  @Test
  void thePlotIsTheSameInEveryLocale() throws Exception {
    Path file = folder.resolve("scaling.png");
    Locale locale = Locale.getDefault();
    List<byte[]> plots = new ArrayList<>();
    try {
      for (String tag : List.of("", "tr-TR-u-nu-arabext")) {
        Locale.setDefault(Locale.forLanguageTag(tag));
        ScalingPlot.write(points(1), file);
        plots.add(Files.readAllBytes(file));
      }
    } finally {
      Locale.setDefault(locale);
    }
    assertArrayEquals(plots.get(0), plots.get(1));
  }

  private static List<Scaling.Point> points(int threads) {
    return List.of(
        new Scaling.Point(1, 32, threads, 2.0 / threads, 0.5, 1.0 + threads),
        new Scaling.Point(16, 32, threads, 1.0 / threads, 0.8, 0.5 + threads),
        new Scaling.Point(16, 64, threads, 5.0 / threads, 0.9, null));
  }

  private static Set<Integer> colours(BufferedImage image) {
    Set<Integer> colours = new HashSet<>();
    for (int x = 0; x < image.getWidth(); x++) {
      for (int y = 0; y < image.getHeight(); y++) {
        colours.add(image.getRGB(x, y));
      }
    }
    return colours;
  }
}
