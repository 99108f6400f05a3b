package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What freezing says, and what it is. */
class ThresholdTest {

  private static final int ELEMENTS = 30_000; // from 20,000 on the kernels clip, by another node

  static {
    LibTorch.load();
  }

  /** LibTorch's own, which move whatever has a gradient. */
  static Stream<Function<TensorVector, Optimizer>> optimizers() {
    SGDOptions momentum = new SGDOptions(0.1);
    momentum.momentum().put(0.9);
    SGDOptions decay = new SGDOptions(0.1);
    decay.weight_decay().put(0.5);
    AdamWOptions adamw = new AdamWOptions(0.1);
    adamw.weight_decay().put(0.5);
    return Stream.of(
        parameters -> new SGD(parameters, momentum),
        parameters -> new SGD(parameters, decay),
        parameters -> new AdamW(parameters, adamw));
  }

  /** Each step with the gradient that the one before left, set to zeros. */
  @ParameterizedTest
  @MethodSource("optimizers")
  void aFrozenThresholdStandsStillInALoopThatKeepsGradients(
      Function<TensorVector, Optimizer> makeOptimizer) {
    TensorScope.run(
        () -> {
          Clip clip = new Clip(new ClipOptions(ClipForm.RELU).initial(0.5));
          Threshold max = clip.thresholds().get(0);
          Optimizer optimizer = makeOptimizer.apply(clip.parameters());
          double start = max.mean();
          step(clip, optimizer);
          assertTrue(max.mean() != start);

          clip.freeze();
          double frozen = max.mean();
          for (int i = 0; i < 3; i++) {
            optimizer.step(); // between backward and step, the first time
            step(clip, optimizer);
          }
          assertEquals(frozen, max.mean());

          clip.unfreeze();
          step(clip, optimizer);
          assertTrue(max.mean() != frozen);
        });
  }

  private static void step(Clip clip, Optimizer optimizer) {
    optimizer.zero_grad(false);
    Tensor x = torch.ones(2).requires_grad_(true); // some input wants a gradient in any case
    clip.forward(x).sum().backward();
    optimizer.step();
  }

  @Test
  void backwardBringsNoGradientToOneThatWasFrozenSinceForward() {
    for (int elements : new int[] {2, ELEMENTS}) {
      TensorScope.run(
          () -> {
            Clip clip = new Clip(new ClipOptions(ClipForm.RELU).initial(0.5));
            Tensor loss = clip.forward(torch.ones(elements)).sum();
            clip.freeze();
            loss.backward();
            assertFalse(clip.thresholds().get(0).parameter().grad().defined());
          });
    }
  }

  @Test
  void theRuleFrozenStandsStill() {
    TensorScope.run(
        () -> {
          ThresholdLayer clip =
              new Clip(new ClipOptions(ClipForm.TIED).gradient(ThresholdGradient.FROZEN));
          AdamWOptions options = new AdamWOptions(0.1);
          options.weight_decay().put(0.5);
          AdamW optimizer = new AdamW(clip.parameters(), options);
          clip.forward(torch.ones(2).requires_grad_(true)).sum().backward();
          optimizer.step();
          assertEquals(1, clip.thresholds().get(0).mean());
        });
  }

  @Test
  void freezingAndUnfreezingAreInTheLog() {
    TensorScope.run(
        () -> {
          try (LogCapture log = new LogCapture(Threshold.class)) {
            Clip clip = new Clip(new ClipOptions(ClipForm.TWO_SIDED).initial(1.5).initialMin(-2));
            assertEquals(List.of(), log.lines());
            clip.freeze();
            clip.unfreeze();
            assertEquals(
                List.of(
                    "INFO The threshold max is frozen at 1.5",
                    "INFO The threshold min is frozen at -2.0",
                    "INFO The threshold max learns again, from 1.5",
                    "INFO The threshold min learns again, from -2.0"),
                log.lines());
          }
        });
  }

  @Test
  void theRuleFrozenIsInTheLog() {
    TensorScope.run(
        () -> {
          try (LogCapture log = new LogCapture(Threshold.class)) {
            new Clip(new ClipOptions(ClipForm.TIED).gradient(ThresholdGradient.FROZEN));
            assertEquals(List.of("INFO The threshold max is frozen at 1.0"), log.lines());
          }
        });
  }

  @Test
  void aParameterThatMerelyRequiresNoGradientIsNotFrozen() {
    TensorScope.run(
        () -> {
          Threshold max = new Clip(new ClipOptions(ClipForm.TIED)).thresholds().get(0);
          max.parameter().set_requires_grad(false);
          assertFalse(max.isFrozen());
          max.freeze();
          assertTrue(max.isFrozen());
          max.parameter().set_requires_grad(true);
          assertFalse(max.isFrozen());
        });
  }

  static Stream<Consumer<Threshold>> uses() {
    return Stream.of(
        Threshold::parameter,
        Threshold::value,
        Threshold::mean,
        Threshold::freeze,
        Threshold::unfreeze,
        threshold -> threshold.set(2),
        threshold -> threshold.scale(2));
  }

  @ParameterizedTest
  @MethodSource("uses")
  void oneThatWasClosedIsOneSentence(Consumer<Threshold> use) {
    Threshold[] closed = {null};
    TensorScope.run(() -> closed[0] = new Clip(new ClipOptions(ClipForm.RELU)).thresholds().get(0));
    ActclipException e = assertThrows(ActclipException.class, () -> use.accept(closed[0]));
    assertEquals(
        "the threshold max: it was closed; make it outside of the scope that closed it",
        e.getMessage());
  }
}
