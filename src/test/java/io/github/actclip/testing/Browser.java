package io.github.actclip.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Chromium without a window, asked over its DevTools protocol
 * (https://chromedevtools.github.io/devtools-protocol/). Where there is none, tests that need it
 * are skipped, or fail with {@code -Dactclip.chromium=required}.
 */
public final class Browser implements AutoCloseable {

  private static final int TIMEOUT_SECONDS = 60;
  private static final Pattern ADDRESS = Pattern.compile("DevTools listening on (ws://\\S+)");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Process process;
  private final WebSocket socket;
  private final BlockingQueue<JsonNode> received = new LinkedBlockingQueue<>();
  private final List<JsonNode> events = new ArrayList<>();
  private final String session;
  private int sent;

  /**
   * Starts it, with one empty page.
   *
   * @param folder for its profile and its log
   */
  public Browser(Path folder) throws Exception {
    Path log = folder.resolve("chromium.log");
    process =
        new ProcessBuilder(
                executable().toString(),
                "--headless",
                "--no-sandbox", // which root may not have
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                "--user-data-dir=" + folder.resolve("profile"))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    socket =
        HttpClient.newHttpClient()
            .newWebSocketBuilder()
            .buildAsync(URI.create(address(log)), new Receiver())
            .get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    String page = send("Target.createTarget", Map.of("url", "about:blank"), null, "targetId");
    session =
        send("Target.attachToTarget", Map.of("targetId", page, "flatten", true), null, "sessionId");
    for (String domain : List.of("Page", "Log", "Runtime", "Network")) {
      call(domain + ".enable", Map.of());
    }
  }

  private static Path executable() {
    List<Path> found =
        Stream.of("chromium", "chromium-browser", "google-chrome")
            .flatMap(
                name ->
                    Stream.of(System.getenv("PATH").split(":"))
                        .map(folder -> Path.of(folder, name)))
            .filter(Files::isExecutable)
            .toList();
    if (found.isEmpty() && "required".equals(System.getProperty("actclip.chromium"))) {
      throw new AssertionError("there is no chromium on the PATH");
    }
    assumeTrue(!found.isEmpty(), "there is no chromium on the PATH");
    return found.get(0);
  }

  private String address(Path log) throws IOException, InterruptedException {
    for (int i = 0; i < TIMEOUT_SECONDS * 20 && process.isAlive(); i++) {
      Matcher address = ADDRESS.matcher(Files.readString(log));
      if (address.find()) {
        return address.group(1);
      }
      Thread.sleep(50);
    }
    process.destroyForcibly();
    throw new AssertionError("chromium does not start: " + Files.readString(log));
  }

  /** Loads a page into a window of that size. */
  public void open(URI page, int width, int height, boolean dark) throws Exception {
    events.clear();
    call(
        "Emulation.setDeviceMetricsOverride",
        Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", width < 600));
    String scheme = dark ? "dark" : "light";
    call(
        "Emulation.setEmulatedMedia",
        Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme))));
    call("Page.navigate", Map.of("url", page.toString()));
    while (named("Page.loadEventFired").isEmpty()) {
      events.add(next());
    }
  }

  /** What the page's console says: messages, exceptions, and what the browser had to refuse. */
  public List<JsonNode> complaints() {
    return named("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled");
  }

  /** What the page asked for, itself first. */
  public List<String> requests() {
    return named("Network.requestWillBeSent").stream()
        .map(event -> event.at("/params/request/url").asText())
        .toList();
  }

  private List<JsonNode> named(String... methods) {
    return events.stream()
        .filter(e -> List.of(methods).contains(e.path("method").asText()))
        .toList();
  }

  /** The value of a JavaScript expression in the page. */
  public JsonNode evaluate(String expression) throws Exception {
    Map<String, Object> parameters = Map.of("expression", expression, "returnByValue", true);
    JsonNode answer = call("Runtime.evaluate", parameters);
    if (answer.has("exceptionDetails")) {
      throw new AssertionError(answer.toString());
    }
    return answer.at("/result/value");
  }

  /** The whole page as a PNG. */
  public byte[] screenshot() throws Exception {
    JsonNode answer = call("Page.captureScreenshot", Map.of("captureBeyondViewport", true));
    return Base64.getDecoder().decode(answer.path("data").asText());
  }

  private JsonNode call(String method, Map<String, Object> parameters) throws Exception {
    return send(method, parameters, session);
  }

  private String send(String method, Map<String, Object> parameters, String in, String result)
      throws Exception {
    return send(method, parameters, in).path(result).asText();
  }

  private JsonNode send(String method, Map<String, Object> parameters, String in) throws Exception {
    int id = ++sent;
    var message = JSON.createObjectNode().put("id", id).put("method", method);
    message.set("params", JSON.valueToTree(parameters));
    if (in != null) {
      message.put("sessionId", in);
    }
    socket.sendText(message.toString(), true).get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    JsonNode answer = next();
    while (answer.path("id").asInt() != id) {
      events.add(answer);
      answer = next();
    }
    if (answer.has("error")) {
      throw new AssertionError(method + ": " + answer);
    }
    return answer.path("result");
  }

  private JsonNode next() throws InterruptedException {
    JsonNode message = received.poll(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    if (message == null) {
      throw new AssertionError("chromium has said nothing for " + TIMEOUT_SECONDS + " s");
    }
    return message;
  }

  /** Lets it put its profile away, then ends what is left of it. */
  @Override
  public void close() {
    List<ProcessHandle> all =
        Stream.concat(process.descendants(), Stream.of(process.toHandle())).toList();
    socket.sendText("{\"id\": 0, \"method\": \"Browser.close\"}", true).join();
    process.onExit().completeOnTimeout(process, TIMEOUT_SECONDS, TimeUnit.SECONDS).join();
    all.forEach(ProcessHandle::destroyForcibly);
    all.forEach(handle -> handle.onExit().join()); // They write into the folder.
    socket.abort();
  }

  private final class Receiver implements WebSocket.Listener {

    private final StringBuilder text = new StringBuilder();

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
      text.append(part);
      if (last) {
        try {
          received.add(JSON.readTree(text.toString()));
        } catch (IOException e) {
          throw new AssertionError(e);
        }
        text.setLength(0);
      }
      from.request(1);
      return null;
    }
  }
}
