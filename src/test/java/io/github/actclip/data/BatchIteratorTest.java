package io.github.actclip.data;

import static org.bytedeco.pytorch.global.torch.ones;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BatchIteratorTest {

  private static Batch batch(int number) {
    return new Batch(ones(1, 3, 32, 32), ones(number + 1));
  }

  private static BatchIterator iterator(int batches, IntFunction<Batch> prepare) {
    return new BatchIterator(batches, prepare, UnaryOperator.identity());
  }

  @Test
  void handsOutTheBatchesInOrderAndClosesTheOneBefore() {
    BatchIterator batches = iterator(3, BatchIteratorTest::batch);
    Batch before = null;
    for (int i = 0; i < 3; i++) {
      assertTrue(batches.hasNext());
      assertTrue(before == null || !before.data().isNull());
      Batch batch = batches.next();
      assertEquals(i + 1, batch.target().size(0));
      assertTrue(before == null || (before.data().isNull() && before.target().isNull()));
      before = batch;
    }
    assertFalse(batches.hasNext());
    assertTrue(before.data().isNull());
    assertTrue(before.target().isNull());
  }

  @Test
  void theEndIsTheEnd() {
    BatchIterator batches = iterator(1, BatchIteratorTest::batch);
    Batch last = batches.next();
    assertThrows(NoSuchElementException.class, batches::next);
    assertTrue(last.data().isNull());
    assertFalse(batches.hasNext());
  }

  @Test
  void preparesOneBatchAheadOnADaemonThread() throws InterruptedException {
    List<Integer> prepared = new CopyOnWriteArrayList<>();
    AtomicReference<Thread> worker = new AtomicReference<>();
    CountDownLatch second = new CountDownLatch(2);
    BatchIterator batches =
        iterator(
            4,
            number -> {
              prepared.add(number);
              worker.set(Thread.currentThread());
              second.countDown();
              return batch(number);
            });
    batches.next();
    assertTrue(second.await(30, TimeUnit.SECONDS), "the second batch is prepared unasked");
    assertEquals(List.of(0, 1), prepared);
    assertNotSame(Thread.currentThread(), worker.get());
    assertTrue(worker.get().isDaemon());
  }

  @Test
  void closingFreesTheBatchInUseAndTheOneAfterIt() throws InterruptedException {
    CountDownLatch second = new CountDownLatch(2);
    List<Batch> prepared = new CopyOnWriteArrayList<>();
    BatchIterator batches =
        iterator(
            4,
            number -> {
              prepared.add(batch(number));
              second.countDown();
              return prepared.get(number);
            });
    batches.next();
    assertTrue(second.await(30, TimeUnit.SECONDS));
    batches.close();
    assertFalse(batches.hasNext());
    assertTrue(prepared.get(0).data().isNull());
    for (int i = 0; i < 3000 && !prepared.get(1).data().isNull(); i++) {
      Thread.sleep(10); // Its maker may still be handing it over.
    }
    assertTrue(prepared.get(1).data().isNull());
    assertEquals(2, prepared.size());
    batches.close();
  }

  @Test
  void deliversOnTheConsumersThread() {
    AtomicReference<Thread> deliverer = new AtomicReference<>();
    Batch delivered = batch(7);
    BatchIterator batches =
        new BatchIterator(
            1,
            BatchIteratorTest::batch,
            prepared -> {
              deliverer.set(Thread.currentThread());
              return delivered;
            });
    assertSame(delivered, batches.next());
    assertSame(Thread.currentThread(), deliverer.get());
    assertFalse(batches.hasNext());
    assertTrue(delivered.data().isNull());
  }

  @Test
  void oneThreadMakesAllBatchesAndEndsWithThem() throws InterruptedException {
    List<Thread> makers = new CopyOnWriteArrayList<>();
    BatchIterator batches =
        iterator(
            20,
            number -> {
              makers.add(Thread.currentThread());
              return batch(number);
            });
    while (batches.hasNext()) {
      batches.next();
    }
    assertEquals(20, makers.size());
    assertEquals(1, makers.stream().distinct().count());
    makers.get(0).join(30_000);
    assertFalse(makers.get(0).isAlive());
  }

  /** Else malloc would keep what each of them has freed. */
  @Test
  void theNextIteratorTakesTheThreadOver() {
    List<Thread> makers = new CopyOnWriteArrayList<>();
    for (int i = 0; i < 20; i++) {
      BatchIterator batches =
          iterator(
              3,
              number -> {
                makers.add(Thread.currentThread());
                return batch(number);
              });
      batches.next();
      batches.next();
      batches.next();
    }
    assertEquals(60, makers.size());
    long threads = makers.stream().distinct().count();
    assertTrue(threads < 5, threads + " threads"); // One that was idle for a second has ended.
  }

  /** Neither closed nor gone through to the end. */
  @Test
  void theThreadOfAnIteratorThatIsForgottenEnds() throws InterruptedException {
    AtomicReference<Thread> worker = new AtomicReference<>();
    iterator(
            4,
            number -> {
              worker.set(Thread.currentThread());
              return batch(number);
            })
        .next();
    worker.get().join(30_000);
    assertFalse(worker.get().isAlive());
  }

  /** As Kotlin and Scala let a method throw it. */
  @Test
  void anExceptionThatJavaWouldHaveDeclaredIsTheCause() {
    IOException thrown = new IOException("no such disk");
    BatchIterator batches = iterator(1, number -> sneak(thrown));
    ActclipException e = assertThrows(ActclipException.class, batches::next);
    assertSame(thrown, e.getCause());
    assertTrue(e.getMessage().contains("no such disk"));
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> Batch sneak(Throwable thrown) throws T {
    throw (T) thrown;
  }

  @ParameterizedTest
  @ValueSource(classes = {IllegalStateException.class, StackOverflowError.class})
  void throwsWhatTheWorkerThrew(Class<? extends Throwable> type) throws Exception {
    Throwable thrown = type.getConstructor(String.class).newInstance("broken");
    BatchIterator batches =
        iterator(
            3,
            number -> {
              if (number == 1) {
                throwUnchecked(thrown);
              }
              return batch(number);
            });
    Batch first = batches.next();
    assertTrue(batches.hasNext());
    assertSame(thrown, assertThrows(type, batches::next));
    assertTrue(first.data().isNull());
    assertSame(thrown, assertThrows(type, batches::next));
  }

  private static void throwUnchecked(Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    throw (RuntimeException) thrown;
  }
}
