package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class AutogradTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;
  private Tensor x;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    x = torch.ones(3).requires_grad_(true);
  }

  @AfterEach
  void close() {
    scope.close();
    assertEquals(0, Thrown.open());
  }

  /** Its backward throws, or runs something and passes the gradient on. */
  private static final class Failing extends CustomFunction {
    private final Runnable before;
    private final Throwable thrown;

    Failing(Throwable thrown) {
      this(() -> {}, thrown);
    }

    Failing(Runnable before, Throwable thrown) {
      this.before = before;
      this.thrown = thrown;
    }

    @Override
    protected Tensor forward(FunctionContext context, Tensor... inputs) {
      return inputs[0].mul(new Scalar(1));
    }

    @Override
    protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
      before.run();
      if (thrown instanceof Error error) {
        throw error;
      }
      if (thrown != null) {
        throw (RuntimeException) thrown;
      }
      return new Tensor[] {gradOutput};
    }
  }

  static Stream<Throwable> throwables() {
    return Stream.of(
        new IllegalStateException("boom"),
        new IllegalStateException(),
        ActclipException.badInput("one sentence"),
        new AssertionError("an error"),
        new StackOverflowError(),
        new IllegalArgumentException("two\nlines \u00e4\u2260\u65e5"),
        new IllegalArgumentException("\u65e5".repeat(3000)));
  }

  @ParameterizedTest
  @MethodSource("throwables")
  void whatBackwardThrowsArrivesAsItIs(Throwable thrown) {
    Tensor loss = new Failing(thrown).apply(x.mul(new Scalar(2))).sum();
    assertSame(thrown, assertThrows(Throwable.class, () -> Autograd.backward(loss)));
    assertSame(thrown, assertThrows(Throwable.class, () -> Autograd.grad(loss, x)));
  }

  @Test
  void withoutItTheTextArrives() {
    Tensor loss = new Failing(new IllegalStateException("boom")).apply(x).sum();
    RuntimeException e = assertThrows(RuntimeException.class, loss::backward);
    assertEquals("java.lang.IllegalStateException: boom", e.getMessage());
  }

  @Test
  void whatABackwardFunctionCaughtIsNotWhatArrives() {
    Tensor inner = new Failing(new IllegalStateException("caught")).apply(x).sum();
    IllegalStateException last = new IllegalStateException("last");
    Runnable catches = () -> assertThrows(RuntimeException.class, inner::backward);
    Tensor loss = new Failing(catches, last).apply(x).sum();
    assertSame(last, assertThrows(IllegalStateException.class, () -> Autograd.backward(loss)));
    Tensor good = new Failing(catches, null).apply(x).sum();
    assertDoesNotThrow(() -> Autograd.backward(good));
  }

  @Test
  void throughNestedCallsToo() {
    IllegalStateException thrown = new IllegalStateException("deep");
    Tensor inner = new Failing(thrown).apply(x).sum();
    Tensor loss = new Failing(() -> Autograd.backward(inner), null).apply(x).sum();
    assertSame(thrown, assertThrows(IllegalStateException.class, () -> Autograd.backward(loss)));
  }

  @Test
  void fromAnotherThreadAsOnAGpu() throws Exception {
    try (Thrown open = new Thrown()) {
      IllegalStateException thrown = new IllegalStateException("elsewhere");
      Thread thread = new Thread(() -> Thrown.offer(thrown));
      thread.start();
      thread.join();
      RuntimeException arrived = new RuntimeException(thrown.toString());
      assertSame(thrown, assertThrows(IllegalStateException.class, () -> open.rethrow(arrived)));
      assertDoesNotThrow(() -> open.rethrow(new RuntimeException("another")));
    }
  }

  @Test
  void eachThreadGetsItsOwn() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (int k = 0; k < 200; k++) {
      tasks.add(
          () -> {
            try (TensorScope inner = new TensorScope()) {
              RuntimeException thrown = new IllegalStateException("the same text");
              Tensor leaf = inner.keep(torch.ones(1).requires_grad_(true));
              Tensor loss = new Failing(thrown).apply(leaf);
              boolean own = thrown == assertThrows(Throwable.class, () -> Autograd.backward(loss));
              leaf.close();
              return own;
            }
          });
    }
    for (Future<Boolean> own : threads.invokeAll(tasks)) {
      assertTrue(own.get());
    }
    threads.shutdown();
  }

  @Test
  void whatLibTorchRefusesIsOneLine() {
    ActclipException e =
        assertThrows(ActclipException.class, () -> Autograd.backward(x.mul(new Scalar(2))));
    assertEquals("grad can be implicitly created only for scalar outputs", e.getMessage());
    assertFalse(e.isBadInput());
    ActclipException unused =
        assertThrows(ActclipException.class, () -> Autograd.grad(x.sum(), torch.ones(1)));
    assertEquals(1, unused.getMessage().lines().count());
  }

  @Test
  void gradientsOfSeveralInputs() {
    Tensor y = torch.ones(3).requires_grad_(true);
    Tensor[] gradients = Autograd.grad(x.mul(new Scalar(2)).add(y).sum(), x, y);
    assertArrayEquals(new double[] {2, 2, 2}, Fixture.values(gradients[0]));
    assertArrayEquals(new double[] {1, 1, 1}, Fixture.values(gradients[1]));
    assertFalse(x.grad().defined());
  }
}
