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
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.Threshold;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerConfig;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.LogCapture;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
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
      this.sentence = "the threshold (act_)?max \\(.*\\) " + sentence;
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
    ThresholdWatch watch(Map<String, Threshold> thresholds);
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
            mistake.options().optimizer());
    mistake.make(module.clip.thresholds().get(0));
    train(module, optimizer, watcher.watch(named(module.clip.thresholds())).with(1, PATIENCE));
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
    Threshold threshold = net.thresholds().get("act_max");
    threshold.set(mistake.initial);
    mistake.make(threshold);
    boolean forgets = mistake == Mistake.NO_OPTIMIZER;
    Map<String, Threshold> watched =
        forgets ? named(new Clip(new ClipOptions(ClipForm.TIED)).thresholds()) : net.thresholds();
    fit(ShortTraining.IMAGES, net, mistake.options(), watcher.watch(watched).with(1, PATIENCE));
  }

  private static Map<String, Threshold> named(List<Threshold> thresholds) {
    return thresholds.stream().collect(Collectors.toMap(Threshold::name, Function.identity()));
  }

  private static void fit(
      ImageDataset images, Net net, TrainerOptions options, ThresholdWatch watch) {
    new Trainer(net, options, Devices.of("cpu")).with(watch).fit(images, images);
  }

  @Test
  void aTrainingThatGoesOnIsToldTheStepsSinceItsStart() {
    Net net = new Net();
    net.thresholds().get("act_max").set(1000);
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
    Optimizer optimizer = OptimizerType.SGD.create(module.parameters(), options.optimizer());
    ThresholdWatch watch = ThresholdWatch.stopping(named(module.clip.thresholds()));
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
        OptimizerType.SGD.create(
            module.parameters(), module.clip.thresholds(), options.optimizer());
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.stopping(named(module.clip.thresholds()));
      train(module, optimizer, watch.with(1, PATIENCE));
      assertEquals(1, log.lines().size());
      String sentence =
          "WARN the threshold max \\(99.*\\) got a gradient of exactly 0 from step 1 to step 4, .*";
      assertSentence(sentence, log.lines().get(0));
    }
  }

  /** A clip of some channels, of which those stand at 100, and never clip. */
  private static Clip perChannel(int channels, int... high) {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(0.5).perChannel(channels, 1));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      for (int channel : high) {
        clip.thresholds().get(0).parameter().select(0, channel).fill_(new Scalar(100));
      }
    }
    return clip;
  }

  private static Optimizer optimizer(Clip clip, double decay) {
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD).learningRate(1e-3).weightDecay(decay).build();
    return OptimizerType.SGD.create(clip.parameters(), clip.thresholds(), options.optimizer());
  }

  private static void train(Clip clip, Optimizer optimizer, ThresholdWatch watch, int steps) {
    Tensor x = torch.ones(2, clip.thresholds().get(0).parameter().numel());
    for (int i = 0; i < steps; i++) {
      optimizer.zero_grad();
      clip.forward(x).sum().backward();
      optimizer.step();
      watch.afterStep(optimizer);
    }
  }

  @Test
  void aChannelThatNeverClipsIsNamed() {
    Clip clip = perChannel(2, 1);
    ThresholdWatch watch = ThresholdWatch.stopping(named(clip.thresholds())).with(1, PATIENCE);
    ActclipException e =
        assertThrows(ActclipException.class, () -> train(clip, optimizer(clip, 0), watch, STEPS));
    assertEquals(
        "the threshold max, channel 1 of 2 (100.0) has not moved from step 1 to step 4, because the"
            + " gradient that it gets is exactly 0, as when no activation is clipped: a lower start,"
            + " a calibration, or a thresholdWeightDecay helps",
        e.getMessage());
  }

  @Test
  void aChannelThatOnlyDecaysIsNamedOnce() {
    Clip clip = perChannel(3, 0, 2);
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.stopping(named(clip.thresholds())).with(1, PATIENCE);
      train(clip, optimizer(clip, 0.01), watch, STEPS);
      assertEquals(1, log.lines().size(), log.lines().toString());
      assertSentence(
          "WARN the threshold max, channels 0, 2 of 3 \\(99.*\\) got a gradient of exactly 0 from"
              + " step 1 to step 4, .*",
          log.lines().get(0));
    }
  }

  @Test
  void manyChannelsAreOneLine() {
    int[] most = IntStream.range(1, 65).toArray();
    Clip clip = perChannel(65, most);
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.warning(named(clip.thresholds())).with(1, PATIENCE);
      train(clip, optimizer(clip, 0), watch, STEPS);
      assertEquals(1, log.lines().size(), log.lines().toString());
      assertSentence(
          "WARN the threshold max, channels 1, 2, 3, 4, 5 and 59 more of 65 \\(100.0\\) has not .*",
          log.lines().get(0));
    }
  }

  @Test
  void eachFaultIsThatOfItsChannels() {
    Clip clip = perChannel(4, 1);
    Tensor parameter = clip.thresholds().get(0).parameter().detach();
    parameter.select(0, 2).fill_(new Scalar(Double.NaN));
    parameter.select(0, 3).fill_(new Scalar(-1));
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.warning(named(clip.thresholds())).with(1, PATIENCE);
      train(clip, optimizer(clip, 0), watch, STEPS);
      assertEquals(3, log.lines().size(), log.lines().toString());
      String max = "WARN the threshold max, channel ";
      assertSentence(max + "2 of 4 \\(NaN\\) is not finite after step 1: .*", log.lines().get(0));
      assertSentence(max + "3 of 4 \\(-1.*\\) is not above 0 .*", log.lines().get(1));
      assertSentence(max + "1 of 4 \\(100.0\\) has not moved .*", log.lines().get(2));
    }
  }

  /** What is advised has to be what helps. */
  @Test
  void noDecayIsAdvisedWhereNoneActs() {
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(QuantizationMethod.TQT, 4, false, 64, 1, 1));
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer =
        OptimizerType.SGD.create(layer.parameters(), layer.thresholds(), options.optimizer());
    ThresholdWatch watch = ThresholdWatch.stopping(named(layer.thresholds())).with(1, PATIENCE);
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> {
              for (int i = 0; i < STEPS; i++) {
                optimizer.zero_grad();
                layer.forward(torch.zeros(3)).sum().backward();
                optimizer.step();
                watch.afterStep(optimizer);
              }
            });
    assertTrue(
        e.getMessage()
            .endsWith(": a lower start or a calibration helps; no weight decay reaches it"),
        e.getMessage());
  }

  @Test
  void aFrozenOneIsAWordInTheLogAndNoFault() {
    ClippedLinear module = new ClippedLinear(0.1);
    module.clip.freeze();
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(module.linear.parameters(), options.optimizer());
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      ThresholdWatch watch = ThresholdWatch.stopping(named(module.clip.thresholds()));
      train(module, optimizer, watch.with(1, 1));
      assertEquals(
          List.of("INFO the threshold max (0.1) is frozen: that it does not learn is no mistake"),
          log.lines());
    }
  }

  /** Not a word for each of 50 layers. */
  @Test
  void ofManyAtOnceTheFirstAreToldAndTheOthersNamed() {
    ClippedLinear module = new ClippedLinear(0.1);
    module.clip.freeze();
    Map<String, Threshold> thresholds = new LinkedHashMap<>();
    IntStream.range(0, 50)
        .forEach(i -> thresholds.put("layer" + i, module.clip.thresholds().get(0)));
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(module.linear.parameters(), options.optimizer());
    try (LogCapture log = new LogCapture(ThresholdWatch.class)) {
      train(module, optimizer, ThresholdWatch.warning(thresholds).with(1, 1));
      assertEquals(6, log.lines().size(), log.lines().toString());
      assertSentence("INFO the threshold layer4 .* is frozen.*", log.lines().get(4));
      assertSentence(
          "INFO the same is so of 45 other thresholds: layer5, layer6, .*, layer49",
          log.lines().get(5));
    }
  }

  @Test
  void patienceStartsAnewWhenOneIsUnfrozen() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = Mistake.STILL.options();
    Optimizer optimizer =
        OptimizerType.SGD.create(
            module.parameters(), module.clip.thresholds(), options.optimizer());
    ThresholdWatch watch = ThresholdWatch.stopping(named(module.clip.thresholds())).with(1, STEPS);
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
        OptimizerType.SGD.create(layer.parameters(), OptimizerConfig.defaults(OptimizerType.SGD));
    layer.forward(torch.ones(2).mul(new Scalar(2))).sum().backward();
    layer.thresholds().get(0).parameter().detach().fill_(new Scalar(-3));
    ThresholdWatch watch = ThresholdWatch.stopping(named(layer.thresholds()));
    ActclipException e = assertThrows(ActclipException.class, () -> watch.afterStep(optimizer));
    assertTrue(e.getMessage().contains("without a floor, is -3.0"), e.getMessage());
  }

  @Test
  void thresholdsMayBeInAnOptimizerOfTheirOwn() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.ADAM);
    Optimizer weights = OptimizerType.ADAM.create(module.linear.parameters(), options.optimizer());
    Optimizer thresholds = OptimizerType.ADAM.create(module.clip.parameters(), options.optimizer());
    module.loss().backward();
    thresholds.step();
    ThresholdWatch.stopping(named(module.clip.thresholds())).afterStep(weights, thresholds);
  }

  @Test
  void theNameIsThatByWhichItWasGiven() {
    ClippedLinear first = new ClippedLinear(0.1);
    ClippedLinear second = new ClippedLinear(0.2);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer =
        OptimizerType.SGD.create(first.parameters(), first.clip.thresholds(), options.optimizer());
    first.loss().backward();
    ThresholdWatch watch =
        ThresholdWatch.stopping(
            Map.of(
                "first.max", first.clip.thresholds().get(0),
                "second.max", second.clip.thresholds().get(0)));
    ActclipException e = assertThrows(ActclipException.class, () -> watch.afterStep(optimizer));
    assertTrue(
        e.getMessage().startsWith("the threshold second.max (0.2) is in no"), e.getMessage());
  }

  @Test
  void itLooksAfterTheFirstStepAndThenNowAndThen() {
    ClippedLinear module = new ClippedLinear(0.1);
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
    Optimizer optimizer = OptimizerType.SGD.create(module.parameters(), options.optimizer());
    ThresholdWatch watch = ThresholdWatch.stopping(named(module.clip.thresholds()));
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
    ThresholdWatch watch = ThresholdWatch.warning(Map.of());
    ActclipException e = assertThrows(ActclipException.class, () -> watch.with(0, 1));
    assertEquals("everySteps (0) must be at least 1", e.getMessage());
    e = assertThrows(ActclipException.class, () -> watch.with(1, -2));
    assertEquals("patience (-2) must be at least 1", e.getMessage());
  }
}
