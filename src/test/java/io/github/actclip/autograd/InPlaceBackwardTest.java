package io.github.actclip.autograd;

import static io.github.actclip.autograd.InPlaceWay.assertTaken;
import static io.github.actclip.autograd.InPlaceWay.assumeTaken;
import static io.github.actclip.autograd.InPlaceWay.intermediate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** ReLU and a limit that take the place of their input: the way back. */
class InPlaceBackwardTest extends InPlaceInputs {

  private Tensor loss(Tensor y) {
    return y.mul(g).sum();
  }

  private Tensor expected(InPlaceWay way) {
    return loss(way.outOfPlace(intermediate(leaf), t));
  }

  /** As by an optimizer that steps before backward. */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void aThresholdMayMoveBeforeBackward(InPlaceWay way) {
    assumeTaken();
    Tensor expected = expected(way);
    Tensor loss = loss(way.inPlace(intermediate(leaf), t));
    expected.backward();
    double[] byX = Gradients.take(leaf);
    double[] byT = Gradients.take(t);
    t.detach().add_(new Scalar(1));
    Autograd.backward(loss);
    assertArrayEquals(byX, Gradients.take(leaf));
    assertArrayEquals(byT, Gradients.take(t));
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void backwardMayRunTwiceButNotTwiceDeep(InPlaceWay way) {
    assumeTaken();
    expected(way).backward();
    double[] byX = Gradients.take(leaf);
    Tensor loss = loss(way.inPlace(intermediate(leaf), t));
    for (int i = 0; i < 2; i++) {
      loss.backward(new Tensor(), new BoolOptional(true), false, new TensorArrayRefOptional());
      assertArrayEquals(byX, Gradients.take(leaf));
    }
    RuntimeException e =
        assertThrows(
            RuntimeException.class,
            () ->
                loss.backward(
                    new Tensor(), new BoolOptional(true), true, new TensorArrayRefOptional()));
    assertTrue(e.getMessage().contains("second derivative"), e.getMessage());
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void fourThreadsAtOnce(InPlaceWay way) throws Exception {
    expected(way).backward();
    double[] byX = Gradients.take(leaf);
    double[] byT = Gradients.take(t);
    Callable<Void> work =
        () -> {
          for (int i = 0; i < 20; i++) {
            try (TensorScope inner = new TensorScope()) {
              Tensor own = Gradients.leaf(leaf);
              Tensor threshold = Gradients.leaf(t);
              Autograd.backward(loss(way.inPlace(intermediate(own), threshold)));
              assertArrayEquals(byX, Fixture.values(own.grad()));
              assertArrayEquals(byT, Fixture.values(threshold.grad()));
              inner.noGrad();
            }
          }
          return null;
        };
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (Future<Void> done : threads.invokeAll(List.of(work, work, work, work))) {
        done.get();
      }
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void nativeMemoryStaysFlat() {
    train(1_000);
    int alive = BackwardNode.alive();
    long before = Pointer.physicalBytes();
    train(10_000);
    long grown = Pointer.physicalBytes() - before;
    // 20,000 leaked outputs would be 1.9 GB, and what became of their elements 480 MB.
    assertTrue(grown < 100L << 20, "grew by " + (grown >> 20) + " MiB");
    assertEquals(alive, BackwardNode.alive());
  }

  /** Whoever has no scope leaves its tensors to the garbage collector. */
  @Test
  void nothingIsLeftWithoutAScope() throws Exception {
    int before = BackwardNode.alive();
    Thread other =
        new Thread(
            () -> {
              for (InPlaceWay way : InPlaceWay.values()) {
                way.inPlace(intermediate(leaf), t).sum().backward();
              }
            });
    other.start();
    other.join();
    for (int i = 0; i < 100 && BackwardNode.alive() > before; i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertEquals(before, BackwardNode.alive());
  }

  private void train(int steps) {
    for (int i = 0; i < steps; i++) {
      for (InPlaceWay way : InPlaceWay.values()) {
        TensorScope.run(
            () -> {
              way.inPlace(intermediate(leaf), t).sum().backward();
              leaf.mutable_grad().reset();
              t.mutable_grad().reset();
            });
      }
    }
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void takesWhatAutocastGives(InPlaceWay way) {
    Tensor weight = Gradients.leaf(torch.randn(64, 32));
    Tensor data = torch.randn(512, 32);
    double[] expected = inBfloat16(weight, data, x -> way.outOfPlace(x, t));
    double[] byT = Gradients.take(t);
    double[] actual =
        inBfloat16(
            weight,
            data,
            x -> {
              Tensor y = way.inPlace(x, t);
              assertTaken(true, x, y);
              return y;
            });
    assertArrayEquals(expected, actual);
    assertArrayEquals(byT, Gradients.take(t));
  }

  private static double[] inBfloat16(Tensor weight, Tensor data, UnaryOperator<Tensor> limit) {
    Supplier<Tensor> forward = () -> limit.apply(torch.linear(data, weight));
    Tensor y = Autocast.run(Devices.of("cpu"), ScalarType.BFloat16, forward);
    assertEquals(ScalarType.BFloat16, y.scalar_type().intern());
    Autograd.backward(y.to(ScalarType.Float).sum());
    return Gradients.take(weight);
  }
}
