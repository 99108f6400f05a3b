package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** LibTorch keeps the number of threads by thread, and we promise the process. */
class ThreadsTest {

  private final ExecutorService other = Executors.newSingleThreadExecutor();
  private final int before = LibTorch.threads();

  @AfterEach
  void restore() {
    LibTorch.setThreads(before);
    other.shutdown();
  }

  @Test
  void reachesAThreadThatHasUsedLibTorch() throws Exception {
    assertEquals(before, other.submit(LibTorch::threads).get());
    for (int threads : new int[] {before + 1, before + 2}) {
      LibTorch.setThreads(threads);
      assertEquals(threads, LibTorch.threads());
      assertEquals(threads, other.submit(ThreadsTest::seenInAScope).get());
    }
    other.submit(() -> LibTorch.setThreads(before + 3)).get();
    assertEquals(before + 3, seenInAScope());
  }

  @Test
  void leavesANumberThatLibTorchWasGivenAfterwardsForOneThread() throws Exception {
    LibTorch.setThreads(before + 1);
    assertEquals(before + 1, seenInAScope());
    torch.set_num_threads(before + 2);
    assertEquals(before + 2, seenInAScope());
  }

  private static int seenInAScope() {
    TensorScope scope = new TensorScope();
    try (scope) {
      return torch.get_num_threads();
    }
  }
}
