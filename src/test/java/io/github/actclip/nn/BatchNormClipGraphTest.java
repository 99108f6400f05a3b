package io.github.actclip.nn;

import static io.github.actclip.nn.BatchNormRun.CHANNELS;
import static io.github.actclip.nn.BatchNormRun.assertClose;
import static io.github.actclip.nn.BatchNormRun.clip;
import static io.github.actclip.nn.BatchNormRun.images;
import static io.github.actclip.nn.BatchNormRun.norm;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The graph of what goes in one pass, threads, memory, and what is refused. */
class BatchNormClipGraphTest {

  static {
    LibTorch.load();
  }

  private static final long MOST_MEBIBYTES = 30;

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(101);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void whatChangedBeforeBackwardIsRefusedAsByLibTorch() {
    Tensor x = images(16);
    List<Consumer<BatchNormRun>> changes =
        List.of(
            run -> run.norm.weight().detach().add_(new Scalar(1)),
            run -> run.x.detach().add_(new Scalar(1)));
    for (Consumer<BatchNormRun> change : changes) {
      for (boolean asBlock : new boolean[] {false, true}) {
        BatchNormRun run = BatchNormRun.of(norm(), x, Optional.empty());
        Tensor y = asBlock ? run.block() : run.oneByOne();
        change.accept(run);
        RuntimeException e = assertThrows(RuntimeException.class, () -> Autograd.backward(y.sum()));
        assertTrue(e.getMessage().matches("(?s).*(inplace|in place).*"), e.getMessage());
      }
    }
  }

  @Test
  void aThresholdAndTheOutputMayChangeBeforeBackward() {
    BatchNormRun run = BatchNormRun.of(norm(), images(16), Optional.of(images(16)));
    Tensor g = torch.randn(run.x.shape());
    List<Tensor> expected = run.results(run.block(), g);
    Tensor y = run.block();
    run.layer.parameters().get(0).detach().add_(new Scalar(1));
    y.detach().zero_();
    List<Tensor> actual = run.results(y, g);
    assertClose(expected.subList(1, 6), actual.subList(1, 6));
  }

  @Test
  void backwardRunsTwiceAndHasNoDerivative() {
    BatchNormRun run = BatchNormRun.of(norm(), images(16), Optional.empty());
    Tensor loss = run.block().square().sum();
    loss.backward(new Tensor(), new BoolOptional(true), false, new TensorArrayRefOptional());
    Tensor once = run.x.grad().clone();
    loss.backward();
    Bits.assertSame(once.mul(new Scalar(2)), run.x.grad(), "twice");
    Tensor again = run.block().square().sum();
    BoolOptional retain = new BoolOptional(true);
    RuntimeException e =
        assertThrows(
            RuntimeException.class,
            () -> again.backward(new Tensor(), retain, true, new TensorArrayRefOptional()));
    assertTrue(e.getMessage().contains("create_graph"), e.getMessage());
  }

  @Test
  void threadsShareALayer() throws Exception {
    BatchNormRun run = BatchNormRun.of(norm(), images(16), Optional.of(images(16)));
    run.norm.eval();
    Callable<Tensor> forward =
        () -> {
          try (TensorScope inner = new TensorScope()) {
            inner.noGrad();
            return inner.pass(run.block());
          }
        };
    Tensor expected = forward.call();
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (Future<Tensor> future : threads.invokeAll(Collections.nCopies(40, forward))) {
        Bits.assertSame(expected, future.get(), "in a thread");
        future.get().close();
      }
    } finally {
      threads.shutdown();
    }
  }

  @Test
  void whatDoesNotFitIsOneSentence() {
    BatchNorm2dImpl norm = norm();
    Clip clip = clip();
    Tensor x = images(16);
    assertRefused("the normalisation: null was given", () -> Blocks.batchNormClip(null, clip, x));
    assertRefused("the layer: null was given", () -> Blocks.batchNormClip(norm, null, x));
    assertRefused(
        "the activations: there is no tensor", () -> Blocks.batchNormClip(norm, clip, null));
    assertRefused(
        "the addend: there is no tensor",
        () -> Blocks.batchNormAddClip(norm, clip, x, new Tensor()));
    Clip half = new Clip(new ClipOptions(ClipForm.RELU).perChannel(8, 1));
    assertRefused(
        "the activations have the shape [16, 16, 10, 10]: this layer takes 8 channels along"
            + " dimension 1",
        () -> Blocks.batchNormClip(norm, half, x));
    assertEquals(0, norm.num_batches_tracked().item_long());
    Clip closed = clip();
    closed.close();
    BatchNorm2dImpl closedNorm = norm();
    closedNorm.close();
    String sentence = "it was closed; make it outside of the scope that closed it";
    assertRefused("the layer: " + sentence, () -> Blocks.batchNormClip(norm, closed, x));
    assertRefused(
        "the normalisation: " + sentence, () -> Blocks.batchNormClip(closedNorm, clip, x));
  }

  @Test
  void whatLibTorchRefusesIsRefusedInOneSentence() {
    BatchNorm2dImpl norm = norm();
    List<Tensor> wrong =
        List.of(
            torch.randn(1, CHANNELS, 1, 1),
            torch.randn(4, CHANNELS + 1, 20, 20).contiguous(MemoryFormat.ChannelsLast),
            torch.randn(4, CHANNELS, 400));
    for (Tensor x : wrong) {
      RuntimeException expected = assertThrows(RuntimeException.class, () -> norm.forward(x));
      ActclipException e =
          assertThrows(ActclipException.class, () -> Blocks.batchNormClip(norm, clip(), x));
      assertEquals(
          "the normalisation fails on activations of the shape "
              + Arrays.toString(x.shape())
              + ": "
              + firstLine(expected),
          e.getMessage());
    }
    Tensor x = images(16);
    Tensor other = images(8);
    ActclipException e =
        assertThrows(ActclipException.class, () -> Blocks.batchNormAddClip(norm, clip(), x, other));
    assertTrue(
        e.getMessage()
            .startsWith(
                "what is added to activations of the shape "
                    + Arrays.toString(x.shape())
                    + " is of the shape "
                    + Arrays.toString(other.shape())
                    + ": "));
    assertEquals(1, e.getMessage().lines().count());
  }

  /** A step leaves 100 KiB or more if it forgets anything. */
  @Test
  void memoryStaysFlat() {
    BatchNormRun run = BatchNormRun.of(norm(), images(16), Optional.of(images(16)));
    Runnable step =
        () ->
            TensorScope.run(
                () -> {
                  run.block().sum().backward();
                  TensorScope.run(() -> withoutGradient(run));
                });
    Stream.generate(() -> step).limit(50).forEach(Runnable::run);
    System.gc();
    long before = Pointer.physicalBytes();
    Stream.generate(() -> step).limit(2000).forEach(Runnable::run);
    System.gc();
    long grown = (Pointer.physicalBytes() - before) >> 20;
    assertTrue(grown < MOST_MEBIBYTES, "grew by " + grown + " MiB");
  }

  private static void withoutGradient(BatchNormRun run) {
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      run.block();
    }
  }

  private static void assertRefused(String sentence, Runnable call) {
    ActclipException e = assertThrows(ActclipException.class, call::run);
    assertTrue(e.isBadInput());
    assertEquals(sentence, e.getMessage());
  }

  private static String firstLine(RuntimeException e) {
    return e.getMessage().lines().findFirst().orElseThrow();
  }
}
