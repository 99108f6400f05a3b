package io.github.actclip.samples.service;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.infer.Prediction;
import io.github.actclip.nn.models.ResNet;
import io.github.actclip.nn.models.ResNetOptions;
import io.github.actclip.runtime.LibTorch;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * The service under wrk beside the predictor alone, by turns, each asked by as many, on the same
 * machine: {@code -Dactclip.wrk.seconds=10}, for each of three rounds.
 */
@EnabledIfSystemProperty(named = "actclip.wrk.seconds", matches = "[0-9]+")
class WrkTest {

  private static final int CALLERS = 32;
  private static final int ROUNDS = 3;
  private static final int SECONDS = Integer.getInteger("actclip.wrk.seconds", 0);

  private static final String SCRIPT =
      """
      wrk.method = "POST"
      wrk.headers["Content-Type"] = "%s"
      local file = io.open("%s", "rb")
      wrk.body = file:read("*a")
      done = function(summary, latency)
        io.write(string.format("RESULT %%f %%d %%d %%d\\n", summary.requests / summary.duration * 1e6,
          latency:percentile(50), latency:percentile(99),
          summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
      end
      """;

  private static final Pattern RESULT = Pattern.compile("RESULT (\\S+) (\\d+) (\\d+) (\\d+)");

  @TempDir Path folder;

  /** Requests a second, and microseconds of one. */
  private record Speed(double perSecond, double median, double p99) {

    static Speed median(List<Speed> rounds) {
      return rounds.stream()
          .sorted((one, other) -> Double.compare(one.perSecond, other.perSecond))
          .toList()
          .get(rounds.size() / 2);
    }

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT, "%,.0f/s, median %.0f µs, p99 %.0f µs", perSecond, median, p99);
    }
  }

  /** What HTTP costs is as much as what Net does. */
  @Test
  void net() throws Exception {
    try (Running running = Running.of(Running.net())) {
      assertTrue(compare("net", running) >= 0.4);
    }
  }

  @Test
  void resnet20() throws Exception {
    LibTorch.load();
    try (Running running = Running.of(new ResNet(ResNetOptions.resnet20(3, 10)))) {
      assertTrue(compare("resnet20", running) >= 0.6);
    }
  }

  /** Returns the requests of the service for each prediction of the predictor. */
  private double compare(String name, Running running) throws Exception {
    byte[] png = running.file(0, "png");
    Supplier<Prediction> prediction =
        () -> running.predictor.predict(new ByteArrayInputStream(png));
    wrk(running, png);
    alone(prediction); // both warm
    List<Speed> service = new ArrayList<>();
    List<Speed> predictor = new ArrayList<>();
    for (int i = 0; i < ROUNDS; i++) {
      predictor.add(alone(prediction));
      service.add(wrk(running, png));
    }
    System.out.println(name + ", predictor alone: " + predictor);
    System.out.println(name + ", service: " + service);
    Speed served = Speed.median(service);
    double ratio = served.perSecond / Speed.median(predictor).perSecond;
    System.out.printf(
        Locale.ROOT,
        "%s: service %.2f of the predictor, p99 %.1f of the median%n",
        name,
        ratio,
        served.p99 / served.median);
    return ratio;
  }

  private Speed wrk(Running running, byte[] body) throws Exception {
    Path file = Files.write(folder.resolve("body"), body);
    Path script = folder.resolve("post.lua");
    Files.writeString(script, String.format(Locale.ROOT, SCRIPT, "image/png", file));
    Process wrk =
        new ProcessBuilder(
                "wrk",
                "-t1",
                "-c" + CALLERS,
                "-d" + SECONDS + "s",
                "-s" + script,
                running.client.address("/predict").toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(wrk.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    Matcher result = RESULT.matcher(said);
    assertTrue(result.find() && result.group(4).equals("0"), said);
    return new Speed(
        Double.parseDouble(result.group(1)),
        Double.parseDouble(result.group(2)),
        Double.parseDouble(result.group(3)));
  }

  private static Speed alone(Supplier<?> prediction) {
    ExecutorService threads = Executors.newFixedThreadPool(CALLERS);
    long start = System.nanoTime();
    long end = start + SECONDS * 1_000_000_000L;
    LongAdder count = new LongAdder();
    List<CompletableFuture<long[]>> callers = new ArrayList<>();
    for (int i = 0; i < CALLERS; i++) {
      callers.add(CompletableFuture.supplyAsync(() -> call(prediction, end, count), threads));
    }
    long[] nanos =
        callers.stream()
            .map(CompletableFuture::join)
            .flatMapToLong(Arrays::stream)
            .sorted()
            .toArray();
    threads.shutdown();
    return new Speed(
        count.sum() * 1e9 / (System.nanoTime() - start),
        nanos[nanos.length / 2] / 1e3,
        nanos[nanos.length * 99 / 100] / 1e3);
  }

  private static long[] call(Supplier<?> prediction, long end, LongAdder count) {
    List<Long> nanos = new ArrayList<>();
    for (long now = System.nanoTime(); now < end; ) {
      prediction.get();
      long then = System.nanoTime();
      nanos.add(then - now);
      count.increment();
      now = then;
    }
    return nanos.stream().mapToLong(Long::longValue).toArray();
  }
}
