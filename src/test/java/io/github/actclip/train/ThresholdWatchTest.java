package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.Net;
import io.github.actclip.nn.NetOptions;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import java.util.List;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Each mistake is made, in a loop of one's own and in a Trainer, with a watch that warns or stops.
 */
class ThresholdWatchTest {

  private static final int PATIENCE = 3;
  private static final int STEPS = 6;

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(29);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** A mistake: how to make it with either network, and the sentence that it causes. */
  private enum Mistake {
    NO_OPTIMIZER(
        0.1, "is in no parameter group of an optimizer in step 1, and so does not learn: .*"),
    NO_GRADIENT_REQUIRED(
        0.1, "gets no gradient in step 1, because its parameter does not require one: .*"),
    STILL(
        0.1,
        "has not moved from step 1 to step 4, at a learning rate of 0\\.0 and a gradient of up to"
            + " [0-9.E-]+: .*"),
    ZERO_GRADIENT(
        1000,
        "has not moved from step 1 to step 4, because the gradient that it gets is exactly 0, .*"),
    NOT_FINITE(0.1, "is not finite after step [12]: .*"),
    NOT_POSITIVE(
        0.1,
        "is not above 0 after step [12] \\(its least value, without a floor, is -[0-9.]+\\): .*");

    final double initial;
    final String sentence;

    Mistake(double initial, String sentence) {
      this.initial = initial;
      this.sentence = "the threshold max \\(.*\\) " + sentence;
    }

    TrainerOptions options() {
      TrainerOptions options =
          TrainerOptions.builder(OptimizerType.SGD)
              .epochs(1)
              .batchSize(16)
              .learningRate(1e-3)
              .weightDecay(0)
              .schedule(LearningRateSchedule.of(LearningRateSchedule.Type.CONSTANT))
              .build();
      return this == STILL ? options.withThresholds(0, 0) : options;
    }

    void make(Threshold threshold) {
      switch (this) {
        case NO_GRADIENT_REQUIRED -> threshold.parameter().set_requires_grad(false);
        case NOT_FINITE -> fill(threshold, Double.NaN);
        case NOT_POSITIVE -> fill(threshold, -1);
        default -> {
          // It is in the options, or in what is watched.
        }
      }
    }

    private static void fill(Threshold threshold, double value) {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        threshold.parameter().fill_(new Scalar(value));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Mistake.class)
  void aLoopOfOnesOwnWarnsOnce(Mistake mistake) {
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      inALoop(mistake, ThresholdWatch::warning);
      assertWarnedOnce(mistake, log);
    }
  }

  @ParameterizedTest
  @EnumSource(Mistake.class)
  void aLoopOfOnesOwnStops(Mistake mistake) {
    assertStops(mistake, () -> inALoop(mistake, ThresholdWatch::stopping));
  }

  @ParameterizedTest
  @EnumSource(Mistake.class)
  void aTrainerWarnsOnce(Mistake mistake) {
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      // What is not finite ends a training anyway, once its epoch is over.
      if (mistake == Mistake.NOT_FINITE) {
        assertThrows(ActclipException.class, () -> inATrainer(mistake, ThresholdWatch::warning));
      } else {
        inATrainer(mistake, ThresholdWatch::warning);
      }
      assertWarnedOnce(mistake, log);
    }
  }

  @ParameterizedTest
  @EnumSource(Mistake.class)
  void aTrainerStops(Mistake mistake) {
    assertStops(mistake, () -> inATrainer(mistake, ThresholdWatch::stopping));
  }

  private interface Watcher {
    ThresholdWatch watch(List<Threshold> thresholds);
  }

  private static void assertWarnedOnce(Mistake mistake, LogCapture log) {
    assertEquals(1, log.lines().size(), log.lines().toString());
    assertSentence("WARN " + mistake.sentence, log.lines().get(0));
  }

  private static void assertStops(Mistake mistake, Runnable training) {
    ActclipException e = assertThrows(ActclipException.class, training::run);
    assertSentence(mistake.sentence, e.getMessage());
    assertFalse(e.isBadInput());
  }

  private static void assertSentence(String pattern, String sentence) {
    assertTrue(sentence.matches(pattern), sentence);
    assertFalse(sentence.endsWith("."), sentence);
  }

  private static void inALoop(Mistake mistake, Watcher watcher) {
    ClippedLinear module = new ClippedLinear(mistake.initial);
    boolean forgets = mistake == Mistake.NO_OPTIMIZER;
    Optimizer optimizer =
        OptimizerType.SGD.create(
            forgets ? module.linear.parameters() : module.parameters(),
            forgets ? List.of() : module.clip.thresholds(),
            mistake.options());
    mistake.make(module.clip.thresholds().get(0));
    train(module, optimizer, watcher.watch(module.clip.thresholds()).with(1, PATIENCE));
  }

  private static void train(ClippedLinear module, Optimizer optimizer, ThresholdWatch watch) {
    for (int i = 0; i < STEPS; i++) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            module.loss().backward();
            optimizer.step();
            watch.afterStep(optimizer);
          });
    }
  }

  private static void inATrainer(Mistake mistake, Watcher watcher) {
    Net net = new Net();
    Threshold threshold = net.thresholds().get(0);
    threshold.set(mistake.initial);
    mistake.make(threshold);
    boolean forgets = mistake == Mistake.NO_OPTIMIZER;
    List<Threshold> watched =
        forgets ? new Clip(new ClipOptions(ClipForm.TIED)).thresholds() : net.thresholds();
    fit(ShortTraining.IMAGES, net, mistake.options(), watcher.watch(watched).with(1, PATIENCE));
  }

  private static void fit(
      ImageDataset images, Net net, TrainerOptions options, ThresholdWatch watch) {
    new Trainer(net, options, Devices.of("cpu"), List.of(watch)).fit(images, images);
  }

  @Test
  void aTrainingThatGoesOnIsToldTheStepsSinceItsStart() {
    Net net = new Net();
    net.thresholds().get(0).set(1000);
    ThresholdWatch watch = ThresholdWatch.stopping(net.thresholds()).with(1, PATIENCE);
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () ->
                ShortTraining.fit(
                    net, ShortTraining.options(1, 0.05), ShortTraining.from(9, watch)));
    assertTrue(
        e.getMessage().contains("has not moved from step 10 to step 13, because"), e.getMessage());
  }

  @Test
  void aGradientThatIsMissingIsNotOneOfZero() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(module.parameters(), options);
    ThresholdWatch watch = ThresholdWatch.stopping(module.clip.thresholds());
    module.linear.forward(torch.randn(2, 4)).sum().backward(); // without the clip
    optimizer.step();
    ActclipException e = assertThrows(ActclipException.class, () -> watch.afterStep(optimizer));
    assertEquals(
        "the threshold max (0.1) got no gradient in step 1: the loss does not depend on its layer, or"
            + " the layer's output was detached or made without gradients",
        e.getMessage());
  }

  @Test
  void oneThatOnlyDecaysIsToldAndDoesNotEndTheTraining() {
    ClippedLinear module = new ClippedLinear(1000);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD).withThresholds(1, 0.01);
    Optimizer optimizer =
        OptimizerType.SGD.create(module.parameters(), module.clip.thresholds(), options);
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.stopping(module.clip.thresholds());
      train(module, optimizer, watch.with(1, PATIENCE));
      assertEquals(1, log.lines().size());
      String sentence =
          "WARN the threshold max \\(99.*\\) got a gradient of exactly 0 from step 1 to step 4, .*";
      assertSentence(sentence, log.lines().get(0));
    }
  }

  @Test
  void aFrozenOneIsAWordInTheLogAndNoFault() {
    ClippedLinear module = new ClippedLinear(0.1);
    module.clip.freeze();
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(module.linear.parameters(), options);
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.stopping(module.clip.thresholds());
      train(module, optimizer, watch.with(1, 1));
      assertEquals(
          List.of("INFO the threshold max (0.1) is frozen: that it does not learn is no mistake"),
          log.lines());
    }
  }

  @Test
  void patienceStartsAnewWhenOneIsUnfrozen() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = Mistake.STILL.options();
    Optimizer optimizer =
        OptimizerType.SGD.create(module.parameters(), module.clip.thresholds(), options);
    ThresholdWatch watch = ThresholdWatch.stopping(module.clip.thresholds()).with(1, STEPS);
    module.loss().backward();
    optimizer.step();
    watch.afterStep(optimizer);
    module.clip.freeze();
    train(module, optimizer, watch);
    module.clip.unfreeze();
    train(module, optimizer, watch);
  }

  @Test
  void aFloorDoesNotHideACollapse() {
    FakeQuantize layer =
        new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 4));
    Optimizer optimizer =
        OptimizerType.SGD.create(layer.parameters(), TrainerOptions.defaults(OptimizerType.SGD));
    layer.forward(torch.ones(2).mul(new Scalar(2))).sum().backward();
    layer.thresholds().get(0).parameter().detach().fill_(new Scalar(-3));
    ThresholdWatch watch = ThresholdWatch.stopping(layer.thresholds());
    ActclipException e = assertThrows(ActclipException.class, () -> watch.afterStep(optimizer));
    assertTrue(e.getMessage().contains("without a floor, is -3.0"), e.getMessage());
  }

  @Test
  void thresholdsMayBeInAnOptimizerOfTheirOwn() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.ADAM);
    Optimizer weights = OptimizerType.ADAM.create(module.linear.parameters(), options);
    Optimizer thresholds = OptimizerType.ADAM.create(module.clip.parameters(), options);
    module.loss().backward();
    thresholds.step();
    ThresholdWatch.stopping(module.clip.thresholds()).afterStep(weights, thresholds);
  }

  @Test
  void whatSharesANameIsToldApart() {
    ClippedLinear first = new ClippedLinear(0.1);
    ClippedLinear second = new ClippedLinear(0.2);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(first.parameters(), options);
    first.loss().backward();
    ThresholdWatch watch =
        ThresholdWatch.stopping(
            List.of(first.clip.thresholds().get(0), second.clip.thresholds().get(0)));
    ActclipException e = assertThrows(ActclipException.class, () -> watch.afterStep(optimizer));
    assertTrue(
        e.getMessage().startsWith("the threshold max (number 2 of 2) (0.2) is in no"),
        e.getMessage());
  }

  @Test
  void itLooksAfterTheFirstStepAndThenNowAndThen() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(module.parameters(), options);
    ThresholdWatch watch = ThresholdWatch.stopping(module.clip.thresholds());
    module.loss().backward();
    watch.afterStep(optimizer);
    Mistake.NOT_FINITE.make(module.clip.thresholds().get(0));
    for (int step = 2; step < 50; step++) {
      watch.afterStep(optimizer);
    }
    ActclipException e = assertThrows(ActclipException.class, () -> watch.afterStep(optimizer));
    assertTrue(
        e.getMessage().startsWith("the threshold max (NaN) is not finite after step 50: "),
        e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aHealthyTrainingIsLeftAlone(boolean quantized) {
    ActivationOptions activation =
        quantized
            ? ActivationOptions.original().quantized(QuantizationMethod.LSQ, 4, 4)
            : ActivationOptions.original();
    Net net = new Net(NetOptions.original().with(activation));
    TrainerOptions twoEpochs =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(2)
            .thresholdLearningRateFactor(0.5)
            .thresholdWeightDecay(1e-3)
            .build();
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.stopping(net.thresholds()).with(1, PATIENCE);
      fit(ImageDataset.embedded(Split.TEST), net, twoEpochs, watch);
      assertEquals(List.of(), log.lines());
    }
  }

  @Test
  void numbersBelowOneAreOneSentence() {
    ThresholdWatch watch = ThresholdWatch.warning(List.of());
    ActclipException e = assertThrows(ActclipException.class, () -> watch.with(0, 1));
    assertEquals("everySteps (0) must be at least 1", e.getMessage());
    e = assertThrows(ActclipException.class, () -> watch.with(1, -2));
    assertEquals("patience (-2) must be at least 1", e.getMessage());
  }
}
