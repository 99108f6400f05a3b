package io.github.actclip.samples.service;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.LibTorch;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

/** What happens when there is more to do than is done, when something fails, and in the end. */
class LoadTest {

  private static final String PNG = "image/png";
  private static final String RAW = "application/octet-stream";

  /** A network that waits for a sign, and can fail. */
  private static final class Gated extends Network {

    private final Net net;
    private final CountDownLatch entered = new CountDownLatch(1);
    private final CountDownLatch open = new CountDownLatch(1);

    Gated() {
      LibTorch.load();
      net = register("net", new Net());
    }

    @Override
    public Tensor forward(Tensor x) {
      entered.countDown();
      try {
        open.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      return net.forward(x);
    }
  }

  private static final class Failing extends Network {

    Failing() {
      LibTorch.load();
    }

    @Override
    public Tensor forward(Tensor x) {
      throw new IllegalStateException("a secret of /etc/shadow");
    }
  }

  private static CompletableFuture<HttpResponse<String>> ask(Running running) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return running.client.post("/predict", PNG, running.file(0, "png"));
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
  }

  private static void assertLater(HttpResponse<String> response) {
    assertEquals(503, response.statusCode(), response.body());
    assertEquals("1", response.headers().firstValue("Retry-After").orElse(""));
    assertTrue(response.body().startsWith("{\"error\":\""), response.body());
  }

  /** And what one took is there for the next. */
  @Test
  void bodiesThatFindNoRoomInMemoryAreToldToComeAgain() throws Exception {
    ServiceOptions usual = ServiceOptions.at("localhost", 0);
    ServiceOptions little =
        new ServiceOptions(
            usual.host(), 0, 100_000, 4000, 128, usual.idle(), usual.bodyTime(), usual.drain());
    try (Running running = new Running(little, Running.net(), with -> with)) {
      byte[] image = running.pixels(0);
      for (int i = 0; i < 4; i++) {
        assertEquals(200, running.client.post("/predict", RAW, image).statusCode());
        assertLater(running.client.post("/predict", RAW, new byte[5000]));
        assertLater(running.client.postInChunks("/predict", RAW, new byte[5000]));
      }
    }
  }

  @Test
  void oneMoreThanItWorksOnIsToldToComeAgain() throws Exception {
    Gated network = new Gated();
    ServiceOptions usual = ServiceOptions.at("localhost", 0);
    ServiceOptions one =
        new ServiceOptions(
            usual.host(), 0, 100_000, 100_000, 1, usual.idle(), usual.bodyTime(), usual.drain());
    try (Running running = new Running(one, network, with -> with)) {
      CompletableFuture<HttpResponse<String>> first = ask(running);
      network.entered.await();
      assertLater(running.client.post("/predict", PNG, running.file(0, "png")));
      assertEquals(200, running.client.get("/healthz").statusCode());
      network.open.countDown();
      assertEquals(200, first.join().statusCode());
      assertEquals(200, running.client.post("/predict", PNG, running.file(0, "png")).statusCode());
    } finally {
      network.open.countDown();
    }
  }

  @Test
  void aFullQueueOfThePredictorIsSaidTheSameWay() throws Exception {
    Gated network = new Gated();
    try (Running running =
        new Running(
            ServiceOptions.at("localhost", 0),
            network,
            with -> with.workers(1).largestBatch(1).queueCapacity(1))) {
      CompletableFuture<HttpResponse<String>> computed = ask(running);
      network.entered.await();
      CompletableFuture<HttpResponse<String>> waiting = ask(running);
      while (running.predictor.waiting() == 0) {
        Thread.sleep(10);
      }
      assertLater(running.client.post("/predict", PNG, running.file(0, "png")));
      network.open.countDown();
      assertEquals(200, computed.join().statusCode());
      assertEquals(200, waiting.join().statusCode());
    } finally {
      network.open.countDown();
    }
  }

  @Test
  void whatTakesTooLongIsGivenUp() throws Exception {
    Gated network = new Gated();
    try (Running running =
        new Running(
            ServiceOptions.at("localhost", 0),
            network,
            with -> with.deadline(Duration.ofMillis(100)))) {
      HttpResponse<String> answer = running.client.post("/predict", PNG, running.file(0, "png"));
      assertEquals(504, answer.statusCode(), answer.body());
      network.open.countDown();
    } finally {
      network.open.countDown();
    }
  }

  @Test
  void aFailureIsForTheLogAlone() throws Exception {
    try (Running running = Running.of(new Failing())) {
      HttpResponse<String> answer = running.client.post("/predict", PNG, running.file(0, "png"));
      assertEquals(500, answer.statusCode());
      assertEquals("{\"error\":\"The service has failed; its log says more.\"}", answer.body());
    }
  }

  @Test
  void withoutAModelItIsAliveAndNotReady() throws Exception {
    try (Service empty = Service.start(ServiceOptions.at("localhost", 0))) {
      Client client = new Client(empty.port());
      assertEquals(200, client.get("/healthz").statusCode());
      assertEquals(200, client.get("/").statusCode());
      for (String path : List.of("/readyz", "/model")) {
        assertLater(client.get(path));
      }
      assertLater(client.post("/predict", PNG, new byte[] {1}));
    }
  }

  @Test
  void anEndWaitsForWhatWasBegun() throws Exception {
    Gated network = new Gated();
    Running running = Running.of(network);
    try {
      CompletableFuture<HttpResponse<String>> begun = ask(running);
      network.entered.await();
      CompletableFuture<Void> end = CompletableFuture.runAsync(running.service::close);
      Thread.sleep(300);
      assertTrue(!end.isDone());
      network.open.countDown();
      assertEquals(200, begun.join().statusCode());
      end.join();
      assertThrows(IOException.class, () -> running.client.get("/healthz"));
    } finally {
      network.open.countDown();
      running.close();
    }
  }
}
