package io.github.actclip.samples.service;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.actclip.testing.Browser;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The page as a browser shows it. */
class PageTest {

  private static final String ANSWERED =
      "document.querySelectorAll('#classes li').length === 5"
          + " && document.querySelectorAll('#clips figure').length === 1";

  private static final String FIRST = "document.querySelector('#classes .label').textContent";

  private static final String STROKE =
      """
      (() => {
        const canvas = document.getElementById('canvas');
        const box = canvas.getBoundingClientRect();
        const at = (name, x, y) => canvas.dispatchEvent(new PointerEvent(name,
          {pointerId: 1, clientX: box.x + x * box.width, clientY: box.y + y * box.height}));
        canvas.setPointerCapture = () => {}; // a pointer that was made up cannot be captured
        at('pointerdown', 0.3, 0.2);
        at('pointermove', 0.7, 0.8);
        at('pointerup', 0.7, 0.8);
      })()
      """;

  private static final String KEYS =
      """
      (() => {
        const canvas = document.getElementById('canvas');
        canvas.focus();
        [' ', 'ArrowDown', 'ArrowDown', 'ArrowRight', ' '].forEach(
          key => canvas.dispatchEvent(new KeyboardEvent('keydown', {key})));
        return document.activeElement === canvas;
      })()
      """;

  /** Chooses a file: its content in base 64, its name and type. */
  private static final String FILE =
      """
      (() => {
        const bytes = Uint8Array.from(atob('%s'), c => c.charCodeAt(0));
        const files = new DataTransfer();
        files.items.add(new File([bytes], 'image', {type: '%s'}));
        const input = document.getElementById('file');
        input.files = files.files;
        input.dispatchEvent(new Event('change'));
      })()
      """;

  @TempDir static Path folder;
  private static Running running;
  private static Browser browser;

  @BeforeAll
  static void start() throws Exception {
    browser = new Browser(folder);
    running = Running.of(Running.net());
  }

  @AfterAll
  static void stop() {
    if (running != null) {
      running.close();
    }
    if (browser != null) {
      browser.close();
    }
  }

  private static void open(int width, boolean dark) throws Exception {
    browser.open(running.client.address("/"), width, 900, dark);
    await("document.getElementById('what').textContent.includes('It knows')");
  }

  private static void await(String condition) throws Exception {
    for (int i = 0; i < 400 && !browser.evaluate(condition).asBoolean(); i++) {
      Thread.sleep(25);
    }
    assertTrue(
        browser.evaluate(condition).asBoolean(), () -> condition + ": " + browser.complaints());
  }

  @ParameterizedTest
  @CsvSource({"1240, false", "360, true"})
  void whatIsDrawnIsAnswered(int width, boolean dark) throws Exception {
    open(width, dark);
    browser.evaluate(STROKE);
    await(ANSWERED);
    assertEquals(width, browser.evaluate("document.documentElement.scrollWidth").asInt());
    assertEquals(20, browser.evaluate("document.querySelectorAll('#clips rect').length").asInt());
    String clip =
        browser.evaluate("document.querySelector('#clips figcaption').textContent").asText();
    assertTrue(clip.matches("act_max: threshold 1\\.00, [0-9.]+ % clipped"), clip);
    browser.evaluate("document.getElementById('clear').click()");
    assertEquals(0, browser.evaluate("document.querySelectorAll('#classes li').length").asInt());
    assertEquals(List.of(), browser.complaints());
    assertTrue(
        browser.requests().stream()
            .allMatch(
                to ->
                    to.startsWith(running.client.address("/").toString())
                        || to.startsWith("data:")),
        browser.requests() + "");
  }

  @Test
  void keysDrawToo() throws Exception {
    open(800, false);
    assertTrue(browser.evaluate(KEYS).asBoolean());
    await(ANSWERED);
  }

  @Test
  void aFileIsAnsweredAsTheServiceAnswersIt() throws Exception {
    open(800, false);
    byte[] file = running.file(2, "png");
    browser.evaluate(choosing(file, "image/png"));
    await(ANSWERED);
    JsonNode answer =
        new ObjectMapper().readTree(running.client.post("/predict", "image/png", file).body());
    assertEquals(answer.at("/classes/0/label").asText(), browser.evaluate(FIRST).asText());
  }

  @Test
  void whatIsNoImageIsSaid() throws Exception {
    open(800, false);
    browser.evaluate(choosing(new byte[] {1, 2, 3}, "image/png"));
    await("document.getElementById('message').textContent.includes('the image')");
  }

  private static String choosing(byte[] content, String type) {
    return String.format(Locale.ROOT, FILE, Base64.getEncoder().encodeToString(content), type);
  }

  @Test
  void everythingThatTakesInputHasAName() throws Exception {
    open(800, false);
    assertEquals(
        0,
        browser
            .evaluate(
                """
                [...document.querySelectorAll('input')].filter(
                  input => document.querySelector(`label[for=${input.id}]`) === null).length
                """)
            .asInt());
    assertEquals("en", browser.evaluate("document.documentElement.lang").asText());
    assertEquals(1, browser.evaluate("document.querySelectorAll('h1').length").asInt());
  }
}
