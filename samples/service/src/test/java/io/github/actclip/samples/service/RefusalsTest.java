package io.github.actclip.samples.service;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Requests that are wrong, or meant ill: each gets a sentence, and no other request notices. */
class RefusalsTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PNG = "image/png";
  private static final int MOST_BYTES = 100_000;

  /** What is nobody's business. */
  private static final Pattern INSIDES =
      Pattern.compile("(?i)exception|\\bat (io|java|org)\\.|jetty|javalin|/work|\\.java|native");

  private static Running running;

  @BeforeAll
  static void start() {
    ServiceOptions options =
        new ServiceOptions(
            "localhost",
            0,
            MOST_BYTES,
            10L * MOST_BYTES,
            128,
            Duration.ofSeconds(1),
            Duration.ofSeconds(3),
            Duration.ofSeconds(1));
    running = new Running(options, Running.net(), with -> with.mostPixels(1_000_000));
  }

  @AfterAll
  static void stop() throws Exception {
    assertEquals(200, running.client.post("/predict", PNG, running.file(0, "png")).statusCode());
    running.close();
  }

  private static void assertRefused(int status, String sentence, HttpResponse<String> response)
      throws IOException {
    assertEquals(status, response.statusCode(), response.body());
    assertRefused(sentence, response.body());
    assertTrue(response.headers().firstValue("Server").isEmpty());
  }

  private static void assertRefused(String sentence, String body) throws IOException {
    JsonNode answer = JSON.readTree(body);
    assertEquals(1, answer.size(), body);
    String said = answer.get("error").asText();
    assertTrue(said.contains(sentence), said);
    assertTrue(!INSIDES.matcher(said).find() && said.lines().count() == 1, said);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          POST   | /predict            |                          | 415 | must be image/png
          POST   | /predict            | text/plain               | 415 | text/plain
          POST   | /predict            | multipart/form-data      | 415 | multipart/form-data
          POST   | /predict            | application/json         | 415 | raw pixels
          POST   | /predict?top=0      | image/png                | 400 | top (0) must be
          POST   | /predict?top=x      | image/png                | 400 | top (x) must be
          POST   | /predict?top=-1     | image/png                | 400 | top (-1) must be
          POST   | /predict?top=99999999999 | image/png           | 400 | must be a whole number
          POST   | /predict?top=1&top=2 | image/png               | 400 | more than once
          POST   | /predict?outputs=1  | image/png                | 400 | must be true or false
          POST   | /predict?wrong=1    | image/png                | 400 | There is no wrong
          POST   | /clips?top=1        | image/png                | 400 | There is no top
          GET    | /predict            |                          | 405 | takes POST
          DELETE | /predict            |                          | 405 | takes POST
          PUT    | /                   | image/png                | 405 | takes GET
          GET    | /nothing            |                          | 404 | nothing at this path
          POST   | /etc/passwd         | image/png                | 404 | nothing at this path
          GET    | /page.html          |                          | 404 | nothing at this path
          """)
  void aRequestThatIsWrong(String method, String path, String type, int status, String sentence)
      throws Exception {
    String given = type == null ? "" : type;
    assertRefused(
        status, sentence, running.client.send(method, path, given, running.file(0, "png")));
  }

  @Test
  void whatIsAllowedIsSaid() throws Exception {
    assertEquals("POST", running.client.get("/predict").headers().firstValue("Allow").orElse(""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"/predict", "/clips"})
  void aBodyThatIsNoImage(String path) throws Exception {
    byte[] image = running.file(0, "png");
    assertRefused(400, "empty", running.client.post(path, PNG, new byte[0]));
    assertRefused(
        400,
        "not",
        running.client.post(
            path, PNG, "junk that is no image".getBytes(StandardCharsets.US_ASCII)));
    assertRefused(
        400, "damaged", running.client.post(path, PNG, Arrays.copyOf(image, image.length / 2)));
    assertRefused(400, "empty", running.client.post(path, "application/octet-stream", new byte[0]));
    assertRefused(
        400, "3072 ", running.client.post(path, "application/octet-stream", new byte[28 * 28]));
    byte[] broken = image.clone();
    Arrays.fill(broken, 40, image.length - 20, (byte) 0x55);
    assertRefused(400, "damaged", running.client.post(path, PNG, broken));
  }

  @Test
  void aBombIsSeenBeforeItGoesOff() throws Exception {
    long start = System.nanoTime();
    byte[] bomb = png(60_000, 60_000);
    assertTrue(bomb.length < MOST_BYTES);
    assertRefused(400, "60000×60000 pixels", running.client.post("/predict", PNG, bomb));
    assertRefused(400, "2000×1000", running.client.post("/predict", PNG, png(2000, 1000)));
    assertTrue(System.nanoTime() - start < 5e9);
  }

  /** A grey PNG that says it is that large, and has a few rows. */
  private static byte[] png(int width, int height) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
    ByteBuffer head = ByteBuffer.allocate(13).putInt(width).putInt(height);
    chunk(out, "IHDR", head.put(new byte[] {8, 0, 0, 0, 0}).array());
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (DeflaterOutputStream rows = new DeflaterOutputStream(packed)) {
      rows.write(new byte[10 * (width + 1)]);
    }
    chunk(out, "IDAT", packed.toByteArray());
    chunk(out, "IEND", new byte[0]);
    return out.toByteArray();
  }

  private static void chunk(ByteArrayOutputStream out, String name, byte[] data)
      throws IOException {
    CRC32 sum = new CRC32();
    sum.update(name.getBytes(StandardCharsets.US_ASCII));
    sum.update(data);
    DataOutputStream chunk = new DataOutputStream(out);
    chunk.writeInt(data.length);
    chunk.write(name.getBytes(StandardCharsets.US_ASCII));
    chunk.write(data);
    chunk.writeInt((int) sum.getValue());
  }

  @Test
  void aBodyThatIsTooLong() throws Exception {
    byte[] body = new byte[MOST_BYTES + 10];
    assertRefused(413, "longer than", running.client.post("/predict", PNG, body));
    assertRefused(413, "longer than", running.client.postInChunks("/predict", PNG, body));
    assertRefused(413, "longer than", running.client.post("/predict", PNG, new byte[5_000_000]));
  }

  @Test
  void whoAsksBeforeItSendsTooMuchIsAnsweredAtOnce() throws Exception {
    String answer =
        raw(
            "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                + "Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n");
    assertTrue(answer.startsWith("HTTP/1.1 413 "), answer);
    assertRefused("longer than", body(answer));
  }

  @Test
  void aCompressedBody() throws Exception {
    String answer =
        raw(
            "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                + "Content-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    assertTrue(answer.startsWith("HTTP/1.1 415 "), answer);
    assertRefused("compressed", body(answer));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          this is not HTTP                             | 400
          GET / HTTP/9.9\\r\\nHost: x                  | 505
          GET /%zz HTTP/1.1\\r\\nHost: x               | 400
          GET / HTTP/1.1                               | 400
          GET /model?%zz HTTP/1.1\\r\\nHost: x         | 200
          POST /predict?a=%zz HTTP/1.1\\r\\nHost: x    | 400
          GET /../../etc/passwd HTTP/1.1\\r\\nHost: x  | 400
          POST /predict HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: -5 | 400
          POST /predict HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked | 400
          """)
  void whatIsHardlyHttp(String head, int status) throws Exception {
    String answer = raw(head.replace("\\r\\n", "\r\n") + "\r\nConnection: close\r\n\r\n");
    assertTrue(answer.startsWith("HTTP/1.1 " + status + " "), answer);
    if (status != 200) {
      assertRefused("", body(answer));
    }
  }

  @Test
  void aHeadThatIsTooLong() throws Exception {
    String answer = raw("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + "x".repeat(20_000) + "\r\n\r\n");
    assertTrue(answer.startsWith("HTTP/1.1 431 "), answer);
    assertRefused("", body(answer));
  }

  private static String raw(String request) throws IOException {
    try (Socket socket = new Socket("localhost", running.service.port())) {
      socket.setSoTimeout(20_000);
      socket.getOutputStream().write(request.getBytes(StandardCharsets.ISO_8859_1));
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static String body(String answer) {
    return answer.substring(answer.indexOf("\r\n\r\n") + 4).replaceAll("(?s)^[^{]*|[^}]*$", "");
  }

  /** More of them than the server has threads, half in the head, half in the body. */
  @Test
  void thoseThatSendSlowlyHoldNobodyUpAndAreGivenUp() throws Exception {
    List<Socket> slow = new ArrayList<>();
    try {
      for (int i = 0; i < 300; i++) {
        Socket socket = new Socket("localhost", running.service.port());
        slow.add(socket);
        String head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n";
        String rest = i % 2 == 0 ? "X-Sl" : "Content-Length: 5000\r\n\r\nabc";
        socket.getOutputStream().write((head + rest).getBytes(StandardCharsets.ISO_8859_1));
      }
      long start = System.nanoTime();
      assertEquals(200, running.client.post("/predict", PNG, running.file(0, "png")).statusCode());
      assertTrue(System.nanoTime() - start < 2e9);
      for (Socket socket : slow.subList(0, 4)) {
        socket.setSoTimeout(20_000);
        String end = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(end.isEmpty() || end.startsWith("HTTP/1.1 4"), end);
      }
    } finally {
      for (Socket socket : slow) {
        socket.close();
      }
    }
  }

  /** A byte now and then keeps a connection from being idle, and is too slow all the same. */
  @Test
  void aBodyThatTricklesIsGivenUp() throws Exception {
    try (Socket socket = new Socket("localhost", running.service.port())) {
      socket.setSoTimeout(20_000);
      String head =
          "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
              + "Content-Length: 5000\r\n\r\n";
      socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
      long start = System.nanoTime();
      for (int i = 0; i < 40 && socket.getInputStream().available() == 0; i++) {
        socket.getOutputStream().write('x');
        Thread.sleep(200);
      }
      String end = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(System.nanoTime() - start < 8e9);
      assertTrue(end.startsWith("HTTP/1.1 408 "), end);
      assertRefused("too slowly", body(end));
    }
  }
}
