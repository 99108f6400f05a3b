package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.op.ClipOp;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What LibTorch sets for a thread must not go to another with the carrier of a virtual one. */
class VirtualThreadsTest {

  @BeforeAll
  static void load() {
    assumeTrue(Runtime.version().feature() >= 21, "this JVM has no virtual threads");
    LibTorch.load();
  }

  @Test
  void nothingThatAVirtualThreadSetsReachesAnother() throws Exception {
    try (Device cpu = new Device(DeviceType.CPU)) {
      CountDownLatch end = new CountDownLatch(1);
      ExecutorService threads = virtualThreads();
      for (int i = 0; i < 50; i++) { // more than there are carriers
        threads.submit(() -> noGradUntil(end));
        threads.submit(() -> Autocast.run(cpu, ScalarType.BFloat16, () -> await(end)));
      }
      for (int i = 0; i < 50; i++) {
        assertTrue(threads.submit(GradMode::is_enabled).get());
        assertFalse(threads.submit(() -> autocast()).get());
      }
      end.countDown();
      threads.shutdown();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"load", "auto", "of", "scope", "info", "threads", "net"})
  void whateverIsCalledIsRefused(String call) {
    assertRefused(() -> LoadProbe.first(call));
  }

  @Test
  void autocastIsRefused() {
    assertRefused(() -> Autocast.run(new Device("cpu"), ScalarType.BFloat16, () -> null));
  }

  @Test
  void aClipIsRefused() {
    TensorScope.run(
        () -> {
          Tensor x = Tensor.create(-1f, 2f);
          Tensor t = Tensor.create(1f);
          assertRefused(() -> ClipOp.clip(x, t));
          assertEquals(1, ClipOp.clip(x, t).max().item_float());
        });
  }

  private static void assertRefused(Runnable call) {
    ExecutorService threads = virtualThreads();
    ExecutionException thrown =
        assertThrows(ExecutionException.class, () -> threads.submit(call).get());
    threads.shutdown();
    ActclipException refusal = assertInstanceOf(ActclipException.class, thrown.getCause());
    assertTrue(refusal.isBadInput());
    assertTrue(refusal.getMessage().startsWith("LibTorch cannot be used on a virtual thread"));
    assertEquals(1, refusal.getMessage().lines().count());
  }

  @Test
  void aThreadOfAPoolMayBeAskedFromAVirtualOne() throws Exception {
    ExecutorService threads = virtualThreads();
    ExecutorService pool = Executors.newFixedThreadPool(1);
    try {
      assertEquals(
          LibTorch.threads(), threads.submit(() -> pool.submit(LibTorch::threads).get()).get());
    } finally {
      threads.shutdown();
      pool.shutdown();
    }
  }

  private static void noGradUntil(CountDownLatch end) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      await(end);
    }
  }

  private static Object await(CountDownLatch end) {
    try {
      return end.await(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static boolean autocast() {
    return torch.is_autocast_enabled(DeviceType.CPU);
  }

  /** {@code Executors.newVirtualThreadPerTaskExecutor()}, which JDK 21 brought. */
  private static ExecutorService virtualThreads() {
    try {
      return (ExecutorService)
          Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }
}
