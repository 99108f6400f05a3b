package io.github.actclip.samples.service;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.net.http.HttpResponse;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is answered, compared with what LibTorch says of the same images. */
class ServiceTest {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PNG = "image/png";

  private static Running running;

  @BeforeAll
  static void start() {
    running = Running.of(Running.net());
  }

  @AfterAll
  static void stop() {
    running.close();
  }

  private static JsonNode json(HttpResponse<String> response) throws Exception {
    assertEquals(200, response.statusCode(), response.body());
    assertEquals("application/json", response.headers().firstValue("Content-Type").orElse(""));
    return JSON.readTree(response.body());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7})
  void theClassesAreThoseOfTheNetwork(int index) throws Exception {
    JsonNode answer =
        json(running.client.post("/predict?top=10&outputs=true", PNG, running.file(index, "png")));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor outputs = running.network.forward(running.data(index)).flatten();
      Tensor probabilities = outputs.softmax(0);
      assertEquals(10, answer.get("classes").size());
      assertEquals(10, answer.get("outputs").size());
      double before = 1;
      for (JsonNode one : answer.get("classes")) {
        int of = one.get("index").asInt();
        double probability = one.get("probability").asDouble();
        assertEquals(running.images.classes().get(of), one.get("label").asText());
        assertEquals(probabilities.get(of).item_double(), probability, 1e-5);
        assertEquals(outputs.get(of).item_double(), answer.get("outputs").get(of).asDouble(), 1e-4);
        assertTrue(probability <= before);
        before = probability;
      }
    }
  }

  @Test
  void rawPixelsAndFilesOfThemGiveTheSameAnswer() throws Exception {
    String file = running.client.post("/predict", PNG, running.file(3, "png")).body();
    String raw =
        running.client.post("/predict", "application/octet-stream", running.pixels(3)).body();
    assertEquals(file, raw);
    assertEquals(5, JSON.readTree(raw).get("classes").size());
    assertTrue(!JSON.readTree(raw).has("outputs"));
  }

  @Test
  void jpegAndChunksAreTaken() throws Exception {
    json(running.client.post("/predict", "image/jpeg; quality=90", running.file(3, "jpg")));
    String whole = running.client.post("/predict", PNG, running.file(3, "png")).body();
    assertEquals(
        whole, running.client.postInChunks("/predict", PNG, running.file(3, "png")).body());
  }

  @Test
  void theClipsSayWhatTheyClipped() throws Exception {
    JsonNode clips = json(running.client.post("/clips", PNG, running.file(5, "png"))).get("clips");
    assertEquals(1, clips.size());
    JsonNode clip = clips.get(0);
    assertEquals("act_max", clip.get("name").asText());
    assertEquals(1, clip.get("threshold").asDouble(), 1e-6); // where Net starts
    double rate = clip.get("clipRate").asDouble();
    assertTrue(rate >= 0 && rate <= 1, rate + "");
    assertEquals(20, clip.get("histogram").size());
  }

  @Test
  void whatIsSaidOfTheModelIsWhatThePageNeeds() throws Exception {
    JsonNode model = json(running.client.get("/model"));
    assertEquals("[3,32,32]", model.get("shape").toString());
    assertEquals(2, model.get("padding").asInt());
    assertTrue(model.get("images").asBoolean() && model.get("grey").asBoolean());
    assertEquals(10, model.get("classes").size());
  }

  @Test
  void itIsAliveReadyAndCounts() throws Exception {
    json(running.client.get("/healthz"));
    json(running.client.get("/readyz"));
    json(running.client.post("/predict", PNG, running.file(0, "png")));
    running.client.get("/nothing/of/the/kind");
    String metrics = running.client.get("/metrics").body();
    assertTrue(
        metrics.contains("http_requests_seconds_count{path=\"/predict\",status=\"200\"}"), metrics);
    assertTrue(
        metrics.contains("http_requests_seconds_count{path=\"other\",status=\"404\"}"), metrics);
    assertTrue(metrics.contains("actclip_predictor_latency_seconds_count"), metrics);
    assertTrue(metrics.contains("jvm_memory_used_bytes"), metrics);
  }

  @Test
  void aPortThatIsTakenIsBadInput() {
    int taken = running.service.port();
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> Service.start(ServiceOptions.at("localhost", taken)).close());
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains("port " + taken), e.getMessage());
  }
}
