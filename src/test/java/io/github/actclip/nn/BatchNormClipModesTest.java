package io.github.actclip.nn;

import static io.github.actclip.nn.BatchNormRun.CHANNELS;
import static io.github.actclip.nn.BatchNormRun.assertClose;
import static io.github.actclip.nn.BatchNormRun.images;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every kind of normalisation in every mode, against the modules one by one. */
class BatchNormClipModesTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(89);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<Supplier<BatchNorm2dImpl>> everyNorm() {
    return Stream.of(
        () -> norm(options -> {}),
        () -> norm(options -> options.eps().put(0.1)),
        () -> norm(options -> options.momentum().put(0.0)),
        () -> norm(options -> options.momentum().put(1.0)),
        () -> norm(options -> options.momentum().reset()),
        () -> norm(options -> options.affine().put(false)),
        () -> norm(options -> options.track_running_stats().put(false)),
        BatchNormClipModesTest::frozen,
        BatchNormClipModesTest::negating);
  }

  private static BatchNorm2dImpl norm(Consumer<BatchNormOptions> change) {
    BatchNormOptions options = new BatchNormOptions(CHANNELS);
    change.accept(options);
    return new BatchNorm2dImpl(options);
  }

  private static BatchNorm2dImpl frozen() {
    BatchNorm2dImpl norm = norm(options -> {});
    norm.weight().requires_grad_(false);
    norm.bias().requires_grad_(false);
    return norm;
  }

  private static BatchNorm2dImpl negating() {
    return new BatchNorm2dImpl(new BatchNormOptions(CHANNELS)) {
      @Override
      public Tensor forward(Tensor x) {
        return super.forward(x).neg();
      }
    };
  }

  @ParameterizedTest
  @MethodSource("everyNorm")
  void everyNormInEveryMode(Supplier<BatchNorm2dImpl> made) {
    Tensor x = images(16);
    Tensor addend = images(16);
    for (boolean training : new boolean[] {true, false}) {
      for (Optional<Tensor> added : List.of(Optional.<Tensor>empty(), Optional.of(addend))) {
        assertSame(made, training, x, added);
        assertSame(made, training, x.contiguous(), added);
        assertSame(made, training, x, added.map(Tensor::contiguous));
        assertSame(made, training, x.to(ScalarType.Double), added);
      }
      assertSame(made, training, images(3), Optional.empty());
    }
  }

  @Test
  void whatNeedsNoGradientGetsNone() {
    Tensor x = images(16);
    Tensor addend = images(16);
    for (int which = 0; which < 4; which++) {
      BatchNormRun plain = BatchNormRun.of(norm(options -> {}), x, Optional.of(addend));
      BatchNormRun block = BatchNormRun.of(norm(options -> {}), x, Optional.of(addend));
      for (BatchNormRun run : List.of(plain, block)) {
        run.x.requires_grad_((which & 1) != 0);
        run.addend.orElseThrow().requires_grad_((which & 2) != 0);
      }
      assertClose(results(plain, plain::oneByOne), results(block, block::block));
    }
    BatchNormRun nothing = BatchNormRun.of(frozen(), x, Optional.empty());
    nothing.x.requires_grad_(false);
    nothing.layer.freeze();
    assertFalse(nothing.block().requires_grad());
  }

  @Test
  void theAddendMayBeXItselfAndMayBeBroadcast() {
    Tensor x = images(16);
    BatchNormRun plain = BatchNormRun.of(norm(options -> {}), x, Optional.empty());
    BatchNormRun block = BatchNormRun.of(norm(options -> {}), x, Optional.empty());
    Tensor twice = plain.layer.forward(plain.norm.forward(plain.x).add(plain.x));
    Tensor fused = Blocks.batchNormAddClip(block.norm, block.layer, block.x, block.x);
    Tensor g = torch.randn(x.shape());
    assertClose(plain.results(twice, g), block.results(fused, g));
    assertSame(() -> norm(options -> {}), true, x, Optional.of(torch.randn(CHANNELS, 1, 1)));
    assertSame(() -> norm(options -> {}), false, x, Optional.of(torch.randn(CHANNELS, 1, 1)));
  }

  @Test
  void autocastGoesThePlainWay() {
    Tensor x = images(16);
    BatchNormRun plain = BatchNormRun.of(norm(options -> {}), x, Optional.empty());
    BatchNormRun block = BatchNormRun.of(norm(options -> {}), x, Optional.empty());
    Device cpu = new Device("cpu");
    Tensor expected = Autocast.run(cpu, ScalarType.BFloat16, plain::oneByOne);
    Tensor actual = Autocast.run(cpu, ScalarType.BFloat16, block::block);
    Bits.assertSame(expected, actual, "autocast");
    Tensor half = x.to(ScalarType.BFloat16);
    Bits.assertSame(
        plain.layer.forward(plain.norm.forward(half)),
        Blocks.batchNormClip(block.norm, block.layer, half),
        "bfloat16");
  }

  @Test
  void inferenceModeIsTaken() {
    BatchNormRun run = BatchNormRun.of(norm(options -> {}), images(16), Optional.empty());
    run.norm.eval();
    Tensor expected;
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      expected = inner.pass(run.oneByOne());
    }
    InferenceMode guard = new InferenceMode();
    try (guard) {
      assertClose(List.of(expected), List.of(run.block()));
    }
  }

  @Test
  void whatIsShownIsWhatComesToTheLayer() {
    BatchNormRun run = BatchNormRun.of(norm(options -> {}), images(16), Optional.of(images(16)));
    List<Tensor> shown = new ArrayList<>();
    run.layer.showNext(x -> shown.add(x.clone()));
    Tensor plain = run.oneByOne().detach();
    run.layer.showNext(x -> shown.add(x.clone()));
    Bits.assertSame(plain, run.block().detach(), "the output");
    Bits.assertSame(shown.get(0), shown.get(1), "what is shown");
    assertClose(List.of(plain), List.of(run.block().detach()));
  }

  @Test
  void anObservedPassCountsWhatIsClipped() {
    BatchNormRun plain = BatchNormRun.of(norm(options -> {}), images(16), Optional.empty());
    BatchNormRun block = BatchNormRun.of(norm(options -> {}), images(16), Optional.empty());
    Tensor expected = plain.oneByOne();
    Tensor actual = block.block();
    double share = expected.ge(new Scalar(0.8f)).to(ScalarType.Double).mean().item_double();
    assertEquals(share, plain.layer.statistics().orElseThrow().clipRate(), 0.02);
    assertEquals(share, block.layer.statistics().orElseThrow().clipRate(), 0.02);
    block.layer.setObserved(false);
    Bits.assertSame(actual, block.block(), "observed or not");
  }

  /** With gradients, twice, and then without. */
  private static void assertSame(
      Supplier<BatchNorm2dImpl> made, boolean training, Tensor x, Optional<Tensor> addend) {
    BatchNormRun plain = BatchNormRun.of(made.get(), x, addend);
    BatchNormRun block = BatchNormRun.of(made.get(), x, addend);
    for (BatchNormRun run : List.of(plain, block)) {
      run.norm.train(true);
      run.norm.forward(run.x); // so that evaluation has something to normalise by
      run.norm.train(training);
    }
    for (int step = 0; step < 2; step++) {
      assertClose(results(plain, plain::oneByOne), results(block, block::block));
    }
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      assertClose(List.of(plain.oneByOne()), List.of(block.block()));
      assertClose(plain.running(), block.running());
    }
    Bits.assertSame(x, block.x, "x was changed");
    addend.ifPresent(
        added ->
            Bits.assertSame(
                added.to(x.scalar_type()), block.addend.orElseThrow(), "the addend was changed"));
  }

  private static List<Tensor> results(BatchNormRun run, Supplier<Tensor> forward) {
    torch.manual_seed(97);
    return run.results(forward.get(), torch.randn(run.x.shape()));
  }
}
