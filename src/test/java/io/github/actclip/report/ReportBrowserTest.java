package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.testing.Browser;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The report as a browser shows it. */
class ReportBrowserTest {

  private static final String FIGURES =
      """
      [...document.querySelectorAll('figure')].map(figure => {
        const box = figure.querySelector('svg').getBoundingClientRect();
        return {
          title: figure.querySelector('figcaption').textContent,
          shapes: figure.querySelectorAll('polyline, path, ellipse').length,
          x: Math.round(box.x), y: Math.round(box.y + scrollY),
          width: Math.round(box.width), height: Math.round(box.height)};
      })
      """;

  @TempDir static Path folder;
  private static Browser browser;

  @BeforeAll
  static void start() throws Exception {
    browser = new Browser(folder);
  }

  @AfterAll
  static void stop() {
    if (browser != null) {
      browser.close();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "12, 32, 1240, false, 12",
    "12, 32, 1240, true, 12",
    "100, 64, 400, false, 12",
    "1, 1, 400, true, 10"
  })
  void everyPlotIsDrawnAndNothingIsMissed(
      int epochs, int channels, int width, boolean dark, int plots) throws Exception {
    open(ReportData.of(epochs, channels).html(), width, dark);

    assertEquals(List.of(), browser.complaints());
    assertEquals(1, browser.requests().size(), browser.requests() + "");
    assertEquals(width, browser.evaluate("document.documentElement.scrollWidth").asInt());
    JsonNode figures = browser.evaluate(FIGURES);
    assertEquals(plots, figures.size());
    BufferedImage page = ImageIO.read(new ByteArrayInputStream(browser.screenshot()));
    assertEquals(width, page.getWidth());
    assertEquals(
        browser.evaluate("document.documentElement.scrollHeight").asInt(), page.getHeight());
    assertEquals(dark, brightness(page.getRGB(2, 2)) < 128);
    for (JsonNode figure : figures) {
      assertDrawn(figure, page);
    }
  }

  @ParameterizedTest
  @CsvSource({"2, 1240, true", "19, 1240, false", "50, 400, true", "50, 1240, false"})
  void manyLayersFitOnThePage(int layers, int width, boolean dark) throws Exception {
    open(ReportData.ofLayers(12, layers).html(), width, dark);

    assertEquals(List.of(), browser.complaints());
    assertEquals(width, browser.evaluate("document.documentElement.scrollWidth").asInt());
    BufferedImage page = ImageIO.read(new ByteArrayInputStream(browser.screenshot()));
    for (JsonNode figure : browser.evaluate(FIGURES)) {
      assertTrue(figure.path("width").asInt() > 120, figure + "");
      assertTrue(figure.path("x").asInt() + figure.path("width").asInt() < width, figure + "");
      assertTrue(figure.path("shapes").asInt() > 5, figure + "");
      assertContrast(figure, page);
    }
  }

  /** Much of a plot is its card's colour, on which lines and letters differ well from it. */
  private static void assertDrawn(JsonNode figure, BufferedImage page) {
    int width = figure.path("width").asInt();
    int height = figure.path("height").asInt();
    assertTrue(width > 250 && height > 100, figure + "");
    assertTrue(figure.path("shapes").asInt() > 10, figure + "");
    assertContrast(figure, page);
  }

  private static void assertContrast(JsonNode figure, BufferedImage page) {
    String title = figure.path("title").asText();
    int width = figure.path("width").asInt();
    int height = figure.path("height").asInt();
    int[] pixels =
        page.getRGB(
            figure.path("x").asInt(), figure.path("y").asInt(), width, height, null, 0, width);
    Map<Integer, Integer> colours = new HashMap<>();
    for (int pixel : pixels) {
      colours.merge(pixel, 1, Integer::sum);
    }
    int card = colours.entrySet().stream().max(Map.Entry.comparingByValue()).orElseThrow().getKey();
    long contrasting =
        colours.entrySet().stream()
            .filter(e -> Math.abs(brightness(e.getKey()) - brightness(card)) > 80)
            .mapToLong(Map.Entry::getValue)
            .sum();
    assertTrue(colours.size() > 20, title + " has " + colours.size() + " colours");
    assertTrue(
        contrasting > pixels.length / 500 && contrasting < pixels.length * 4 / 5,
        title + ": " + contrasting + " of " + pixels.length + " pixels are not the card's");
  }

  private static double brightness(int rgb) {
    return 0.3 * (rgb >> 16 & 255) + 0.59 * (rgb >> 8 & 255) + 0.11 * (rgb & 255);
  }

  @Test
  void theThresholdIsDrawnInTheMiddleOfItsHistogram() throws Exception {
    open(ReportData.of(3, 1).html(), 1240, false);
    String line =
        """
        [...document.querySelectorAll('.three svg')].map(svg => {
          const frame = svg.querySelector('clipPath rect').getBBox();
          return [...svg.querySelectorAll('polyline')].map(line => line.getBBox())
              .filter(box => box.width < 0.01 && box.height > 0.9 * frame.height)
              .map(box => (box.x - frame.x) / frame.width);
        })
        """;
    JsonNode lines = browser.evaluate(line);
    assertEquals(3, lines.size());
    for (JsonNode places : lines) {
      assertTrue(holds(places, 0.5), "vertical lines at " + places);
    }
  }

  private static boolean holds(JsonNode numbers, double number) {
    for (JsonNode each : numbers) {
      if (Math.abs(each.asDouble() - number) < 0.01) {
        return true;
      }
    }
    return false;
  }

  @Test
  void aPageThatAsksForMoreIsNoticed() throws Exception {
    String html = ReportData.of(1, 1).html();
    open(html.replace("</body>", "<script>document.title = 'run'</script></body>"), 1240, false);
    assertFalse(browser.complaints().isEmpty());
    assertFalse(browser.evaluate("document.title").asText().equals("run"));
    open(html.replace("</body>", "<img src=\"picture.png\"></body>"), 1240, false);
    assertFalse(browser.complaints().isEmpty());
  }

  private static void open(String html, int width, boolean dark) throws Exception {
    Path page = folder.resolve("report.html");
    Files.writeString(page, html);
    browser.open(page.toUri(), width, 900, dark);
  }
}
