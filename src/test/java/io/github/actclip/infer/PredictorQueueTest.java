package io.github.actclip.infer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.data.Preprocessing;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.ActclipException.Kind;
import io.github.actclip.runtime.LibTorch;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** What waits, in which order, and what becomes of it. */
@Timeout(60)
class PredictorQueueTest {

  static {
    LibTorch.load();
  }

  private static PredictorOptions.Builder options() {
    return PredictorOptions.builder()
        .workers(1)
        .threads(1)
        .warmUp()
        .device("cpu")
        .preprocessing(Preprocessing.ofValues(2));
  }

  private static ActclipException assertRejected(Kind kind, Executable call) {
    ActclipException e = assertThrows(ActclipException.class, call);
    assertEquals(kind, e.kind(), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
    return e;
  }

  @Test
  void whatWaitsGoesTogetherUpToTheLargestBatch() {
    try (Gate gate = new Gate();
        Predictor predictor = Predictor.of(gate, options().largestBatch(4).build())) {
      List<CompletableFuture<Prediction>> futures = new ArrayList<>();
      futures.add(predictor.predictAsync(predictor.sample(0, 10)));
      gate.arrived.acquireUninterruptibly();
      for (int i = 1; i < 8; i++) {
        futures.add(predictor.predictAsync(predictor.sample(i, 10 + i)));
      }
      assertEquals(7, predictor.waiting());
      gate.mayPass.release(3);
      for (int i = 0; i < 8; i++) {
        assertArrayEquals(new float[] {i, 10 + i}, futures.get(i).join().outputs());
      }
      assertEquals(List.of(1, 4, 3), gate.batches);
    }
  }

  @Test
  void aFullQueueRejectsAtOnce() {
    try (Gate gate = new Gate();
        Predictor predictor = Predictor.of(gate, options().queueCapacity(2).build())) {
      List<CompletableFuture<Prediction>> futures = new ArrayList<>();
      futures.add(predictor.predictAsync(predictor.sample(1, 1)));
      gate.arrived.acquireUninterruptibly();
      futures.add(predictor.predictAsync(predictor.sample(2, 2)));
      futures.add(predictor.predictAsync(predictor.sample(3, 3)));
      Sample another = predictor.sample(4, 4);
      ActclipException e = assertRejected(Kind.FULL, () -> predictor.predict(another));
      assertEquals(
          "2 samples wait for the predictor, and there is room for 2: try again later",
          e.getMessage());
      assertRejected(Kind.FULL, () -> predictor.predictAsync(another));
      gate.mayPass.release(2);
      futures.forEach(CompletableFuture::join);
    }
  }

  @Test
  void aDeadlineEndsTheWaitingAndLeavesTheSampleOut() {
    try (Gate gate = new Gate();
        Predictor predictor =
            Predictor.of(gate, options().deadline(Duration.ofMillis(50)).build())) {
      CompletableFuture<Prediction> computing = predictor.predictAsync(predictor.sample(1, 1));
      gate.arrived.acquireUninterruptibly();
      CompletableFuture<Prediction> waiting = predictor.predictAsync(predictor.sample(2, 2));
      ActclipException e = assertRejected(Kind.TOO_LATE, () -> predictor.predict(3, 3));
      assertTrue(e.getMessage().contains("50.000 ms"), e.getMessage());
      gate.mayPass.release(10);
      computing.join();
      ExecutionException late = assertThrows(ExecutionException.class, waiting::get);
      assertEquals(Kind.TOO_LATE, ((ActclipException) late.getCause()).kind());
      assertEquals(List.of(1), gate.batches);
      predictor.predict(4, 4);
    }
  }

  @Test
  void whatFailsFailsAlone() throws Exception {
    try (Gate gate = new Gate();
        Predictor predictor = Predictor.of(gate, options().build())) {
      CompletableFuture<Prediction> first = predictor.predictAsync(predictor.sample(0, 0));
      gate.arrived.acquireUninterruptibly();
      CompletableFuture<Prediction> sound = predictor.predictAsync(predictor.sample(1, 1));
      CompletableFuture<Prediction> bad = predictor.predictAsync(predictor.sample(-1, 1));
      CompletableFuture<Prediction> nan = predictor.predictAsync(predictor.sample(1, Float.NaN));
      gate.mayPass.release(100);
      first.join();
      assertEquals(1, sound.join().top().probability() + sound.join().probabilities()[1]);
      assertTrue(Float.isNaN(nan.join().outputs()[1]));
      assertEquals("1", nan.join().top().label());
      ExecutionException e = assertThrows(ExecutionException.class, bad::get);
      ActclipException failure = assertInstanceOf(ActclipException.class, e.getCause());
      assertEquals(Kind.FAILURE, failure.kind());
      assertTrue(failure.getMessage().endsWith("a value is below 0"), failure.getMessage());
      assertEquals(List.of(1, 3, 1, 1, 1), gate.batches);
    }
  }

  @Test
  void closingAnswersWhatWaitsAndRejectsWhatComes() throws Exception {
    Gate gate = new Gate();
    Predictor predictor = Predictor.of(gate, options().largestBatch(2).build());
    assertTrue(predictor.isReady());
    List<CompletableFuture<Prediction>> futures = new ArrayList<>();
    futures.add(predictor.predictAsync(predictor.sample(0, 0)));
    gate.arrived.acquireUninterruptibly();
    for (int i = 1; i < 10; i++) {
      futures.add(predictor.predictAsync(predictor.sample(i, i)));
    }
    CompletableFuture<Void> closing = CompletableFuture.runAsync(predictor::close);
    while (predictor.isReady()) {
      Thread.onSpinWait();
    }
    assertFalse(closing.isDone());
    while (!isClosed(predictor)) { // The queue is closed next.
      Thread.onSpinWait();
    }
    gate.mayPass.release(100);
    closing.get(10, TimeUnit.SECONDS);
    for (int i = 0; i < 10; i++) {
      assertEquals(i, futures.get(i).join().outputs()[0]);
    }
    predictor.close();
    assertRejected(Kind.CLOSED, () -> predictor.predict(1, 1));
    assertEquals(0, predictor.nativeBytes());
    assertFalse(gate.isNull(), "it is the caller's");
    gate.close();
  }

  private static boolean isClosed(Predictor predictor) {
    try {
      predictor.predictAsync(predictor.sample(0, 0));
      return false;
    } catch (ActclipException e) {
      return e.kind() == Kind.CLOSED;
    }
  }

  @Test
  void aThousandCallersHaveTheThreadsOfThePredictor() throws Exception {
    ExecutorService callers = virtualThreadsOr(Executors.newFixedThreadPool(1000));
    try (Gate gate = Gate.open();
        Predictor predictor =
            Predictor.of(gate, options().workers(3).queueCapacity(1000).build())) {
      List<Callable<Prediction>> calls = new ArrayList<>();
      for (int i = 0; i < 1000; i++) {
        int value = i;
        calls.add(() -> predictor.predict(value, 1));
      }
      List<Future<Prediction>> futures = callers.invokeAll(calls);
      for (int i = 0; i < 1000; i++) {
        assertEquals(i, futures.get(i).get().outputs()[0]);
      }
      assertTrue(gate.threads.size() <= 3, gate.threads::toString);
      assertTrue(gate.threads.stream().allMatch(t -> t.getName().startsWith("actclip predictor ")));
    } finally {
      callers.shutdown();
    }
  }

  @Test
  void virtualThreadsAskAndClose() throws Exception {
    assumeTrue(Runtime.version().feature() >= 21, "this JVM has no virtual threads");
    ExecutorService callers = virtualThreadsOr(null);
    try (Gate gate = Gate.open()) {
      callers
          .submit(
              () -> {
                try (Predictor predictor = Predictor.of(gate, options().build())) {
                  assertEquals(3, predictor.predict(3, 1).outputs()[0]);
                }
              })
          .get();
    } finally {
      callers.shutdown();
    }
  }

  /** {@code Executors.newVirtualThreadPerTaskExecutor()}, which JDK 21 brought. */
  static ExecutorService virtualThreadsOr(ExecutorService other) throws Exception {
    return Runtime.version().feature() < 21
        ? other
        : (ExecutorService)
            Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
  }

  @Test
  void whatFollowsAPredictionMayAskForAnother() {
    try (Gate gate = Gate.open();
        Predictor predictor = Predictor.of(gate, options().build())) {
      float last =
          predictor
              .predictAsync(predictor.sample(1, 0))
              .thenApply(one -> predictor.predict(one.outputs()[0] + 1, 0))
              .thenApply(two -> two.outputs()[0])
              .join();
      assertEquals(2, last);
    }
  }

  @Test
  void anInterruptIsThereAfterwards() {
    try (Gate gate = Gate.open();
        Predictor predictor = Predictor.of(gate, options().build())) {
      Thread.currentThread().interrupt();
      assertEquals(1, predictor.predict(1, 0).outputs()[0]);
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void manySamplesAreBatchesOfTheLargestSize() {
    try (Gate gate = Gate.open();
        Predictor predictor =
            Predictor.of(gate, options().largestBatch(8).queueCapacity(10).build())) {
      List<Sample> samples = IntStream.range(0, 50).mapToObj(i -> predictor.sample(i, 0)).toList();
      List<Prediction> predictions = predictor.predictAll(samples);
      for (int i = 0; i < 50; i++) {
        assertEquals(i, predictions.get(i).outputs()[0]);
      }
      assertEquals(List.of(8, 8, 8, 8, 8, 8, 2), gate.batches);
      assertEquals(List.of(), predictor.predictAll(List.of()));
    }
  }

  @Test
  void aWorkerWaitsForOthersIfItIsTold() throws Exception {
    PredictorOptions patient = options().largestBatch(2).maxWait(Duration.ofSeconds(20)).build();
    try (Gate gate = Gate.open();
        Predictor predictor = Predictor.of(gate, patient)) {
      CompletableFuture<Prediction> one = predictor.predictAsync(predictor.sample(1, 0));
      Thread.sleep(20);
      assertFalse(one.isDone());
      predictor.predict(2, 0);
      one.join();
      assertEquals(List.of(2), gate.batches);
    }
  }

  @Test
  void workersThatWaitedForOthersInVainGoOn() throws Exception {
    PredictorOptions patient = options().workers(3).maxWait(Duration.ofMillis(20)).build();
    try (Gate gate = new Gate();
        Predictor predictor = Predictor.of(gate, patient)) {
      for (int round = 1; round <= 10; round++) { // all three are woken, and one takes all
        for (int i = 0; i < 6; i++) {
          predictor.predictAsync(predictor.sample(i, round));
        }
        gate.arrived.acquire();
        gate.mayPass.release();
        Thread.sleep(30);
      }
      List<CompletableFuture<Prediction>> futures = new ArrayList<>();
      for (int i = 0; i < 3; i++) { // each stays with a worker of its own
        futures.add(predictor.predictAsync(predictor.sample(i, 0)));
        boolean isTaken = gate.arrived.tryAcquire(10, TimeUnit.SECONDS);
        gate.mayPass.release(isTaken ? 0 : 100); // so that the test ends
        assertTrue(isTaken, "a worker has ended");
      }
      gate.mayPass.release(3);
      futures.forEach(CompletableFuture::join);
    }
  }

  @Test
  void manySamplesKeepAllWorkersBusy() throws Exception {
    try (Gate gate = new Gate();
        Predictor predictor = Predictor.of(gate, options().workers(2).largestBatch(4).build())) {
      List<Sample> samples = IntStream.range(0, 8).mapToObj(i -> predictor.sample(i, 0)).toList();
      CompletableFuture<List<Prediction>> all =
          CompletableFuture.supplyAsync(() -> predictor.predictAll(samples));
      boolean areTaken = gate.arrived.tryAcquire(2, 10, TimeUnit.SECONDS);
      gate.mayPass.release(2);
      assertTrue(areTaken, "one waits for the other");
      assertEquals(8, all.get(10, TimeUnit.SECONDS).size());
    }
  }

  @Test
  void aListenerThatThrowsCostsNoPrediction() {
    try (Gate gate = Gate.open();
        Predictor predictor = Predictor.of(gate, options().build())) {
      predictor.listen(
          new PredictorListener() {
            @Override
            public void onBatch(int size, long nanos) {
              throw new IllegalStateException("a listener's own");
            }
          });
      for (int i = 0; i < 3; i++) {
        assertEquals(i, predictor.predict(i, 0).outputs()[0]);
      }
    }
  }

  @Test
  void aSampleOfAnotherPredictorIsRefused() {
    try (Gate gate = Gate.open();
        Predictor one = Predictor.of(gate, options().build());
        Predictor other = Predictor.of(gate, options().build())) {
      Sample sample = one.sample(1, 2);
      assertRejected(Kind.BAD_INPUT, () -> other.predict(sample));
      assertRejected(Kind.BAD_INPUT, () -> other.predictAll(List.of(sample)));
      ActclipException e = assertRejected(Kind.BAD_INPUT, () -> one.predict(1, 2, 3));
      assertEquals("3 values were given, and the network takes 2 of shape [2]", e.getMessage());
    }
  }

  @Test
  void aWarmUpThatFailsIsSaidAndLeavesNothing() {
    try (Gate gate = Gate.open()) {
      PredictorOptions wrong =
          options()
              .warmUp(1)
              .preprocessing(Preprocessing.ofValues(2).named(List.of("a", "b", "c")))
              .build();
      ActclipException e = assertRejected(Kind.BAD_INPUT, () -> Predictor.of(gate, wrong));
      assertEquals(
          "the network Gate makes 2 outputs of a sample, and there are names for 3",
          e.getMessage());
      PredictorOptions none = PredictorOptions.builder().device("cpu").build();
      assertRejected(Kind.BAD_INPUT, () -> Predictor.of(gate, none));
    }
  }

  @Test
  void metricsAreThereForMicrometer() {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    try (Gate gate = Gate.open();
        Predictor predictor = Predictor.of(gate, options().largestBatch(8).build())) {
      new PredictorMetrics(predictor).bindTo(registry);
      predictor.predictAll(IntStream.range(0, 12).mapToObj(i -> predictor.sample(i, 0)).toList());
      assertRejected(Kind.FAILURE, () -> predictor.predict(-1, 0));
      assertEquals(8 * 2 * 4, registry.get("actclip.predictor.native.bytes").gauge().value());
    }
    assertEquals(12, registry.get("actclip.predictor.queued").timer().count());
    assertEquals(12, registry.get("actclip.predictor.latency").timer().count());
    assertEquals(12, registry.get("actclip.predictor.batch.size").summary().totalAmount());
    assertEquals(2, registry.get("actclip.predictor.batch.time").timer().count());
    assertEquals(
        1, registry.get("actclip.predictor.rejected").tag("kind", "failure").counter().count());
    assertEquals(0, registry.get("actclip.predictor.waiting").gauge().value());
  }

  @Test
  void optionsOutOfRangeAreNamed() {
    assertRejected(Kind.BAD_INPUT, () -> options().workers(0).build());
    assertRejected(Kind.BAD_INPUT, () -> options().threads(2000).build());
    assertRejected(Kind.BAD_INPUT, () -> options().largestBatch(0).build());
    assertRejected(Kind.BAD_INPUT, () -> options().maxWait(Duration.ofMillis(-1)).build());
    assertRejected(Kind.BAD_INPUT, () -> options().queueCapacity(0).build());
    assertRejected(Kind.BAD_INPUT, () -> options().deadline(Duration.ofDays(2)).build());
    assertRejected(Kind.BAD_INPUT, () -> options().mostPixels(0).build());
    ActclipException e =
        assertRejected(Kind.BAD_INPUT, () -> options().largestBatch(4).warmUp(5).build());
    assertEquals("warmUp (5) must be 1 to 4", e.getMessage());
  }
}
