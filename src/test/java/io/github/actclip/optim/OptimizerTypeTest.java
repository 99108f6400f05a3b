package io.github.actclip.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.train.ClippedLinear;
import io.github.actclip.train.TrainerOptions;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LossClosure;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Parameter groups: in a loop of one's own, against the optimizers' formulas. */
class OptimizerTypeTest {

  private static final double EPS = 1e-8;
  private static final double FACTOR = 0.25;
  private static final double DECAY = 0.5;
  private static final double START = 0.5;

  static {
    LibTorch.load();
  }

  private TensorScope scope;
  private ClippedLinear module;
  private List<Threshold> thresholds;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(23);
    module = new ClippedLinear(0.1);
    thresholds = module.clip.thresholds();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void withTheDefaultsThereIsOneGroup(OptimizerType type) {
    Optimizer optimizer =
        type.create(module.parameters(), thresholds, OptimizerConfig.defaults(type));
    assertEquals(1, optimizer.param_groups().size());
    assertEquals(3, optimizer.param_groups().get(0).params().size());
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void aModuleWithoutThresholdsHasOneGroup(OptimizerType type) {
    OptimizerConfig options = OptimizerConfig.defaults(type).withThresholds(FACTOR, DECAY);
    assertEquals(
        1, type.create(module.linear.parameters(), List.of(), options).param_groups().size());
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void thresholdsComeSecondWithTheirOwnRate(OptimizerType type) {
    OptimizerConfig options = OptimizerConfig.defaults(type).withThresholds(FACTOR, DECAY);
    Optimizer optimizer = type.create(module.parameters(), thresholds, options);
    assertEquals(2, optimizer.param_groups().size());
    assertEquals(2, optimizer.param_groups().get(0).params().size());
    assertEquals(1, optimizer.param_groups().get(1).params().size());
    assertTrue(
        thresholds.get(0).parameter().is_same(optimizer.param_groups().get(1).params().get(0)));
    assertRates(optimizer, options.learningRate());

    OptimizerType.setLearningRate(optimizer, 0.125, options);
    assertRates(optimizer, 0.125);
  }

  private static void assertRates(Optimizer optimizer, double rate) {
    assertEquals(rate, optimizer.param_groups().get(0).options().get_lr());
    assertEquals(rate * FACTOR, optimizer.param_groups().get(1).options().get_lr());
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void theFirstStepIsTheFormulas(OptimizerType type) {
    OptimizerConfig options = OptimizerConfig.defaults(type).withThresholds(FACTOR, DECAY);
    Optimizer optimizer = type.create(module.parameters(), thresholds, options);
    module.loss().backward();
    double threshold = thresholds.get(0).mean();
    double gradient = thresholds.get(0).parameter().grad().item_double();
    double[] bias = Fixture.values(module.linear.bias());
    double[] biasGradient = Fixture.values(module.linear.bias().grad());

    optimizer.step();

    double rate = options.learningRate();
    assertEquals(
        stepped(type, threshold, gradient, FACTOR * rate, DECAY), thresholds.get(0).mean(), 1e-7);
    double[] expected = new double[bias.length];
    for (int i = 0; i < bias.length; i++) {
      expected[i] = stepped(type, bias[i], biasGradient[i], rate, options.weightDecay());
    }
    assertArrayEquals(expected, Fixture.values(module.linear.bias()), 1e-7);
  }

  /** A parameter after the first step, by PyTorch's documentation of the optimizers. */
  private static double stepped(
      OptimizerType type, double value, double gradient, double rate, double decay) {
    double penalized = gradient + decay * value;
    return switch (type) {
      case SGD -> value - rate * (penalized + 0.9 * penalized); // Nesterov's
      case ADAM -> value - rate * penalized / (Math.abs(penalized) + EPS);
      case ADAMW -> value * (1 - rate * decay) - rate * gradient / (Math.abs(gradient) + EPS);
    };
  }

  /** Where decay acts on the stored number, EXP's 0.5 goes up to 1. */
  @ParameterizedTest
  @MethodSource("storedOtherwise")
  void theFirstStepDecaysTheValueWhateverIsStored(OptimizerType type, Parameterization stored) {
    Clip clip = clip(stored);
    OptimizerConfig options = OptimizerConfig.defaults(type).withThresholds(FACTOR, DECAY);
    Optimizer optimizer = type.create(clip.parameters(), clip.thresholds(), options);
    assertEquals(0, type.weightDecay(optimizer.param_groups().get(1).options()).get());
    clip.forward(torch.rand(50, 2)).sum().backward();
    Threshold max = clip.thresholds().get(0);
    double[] gradients = Fixture.values(max.parameter().grad());

    optimizer.step();

    assertArrayEquals(gradients, Fixture.values(max.parameter().grad())); // as backward left them
    double rate = FACTOR * options.learningRate();
    double value = START;
    double raw = raw(stored, value);
    double[] expected = new double[gradients.length];
    for (int c = 0; c < expected.length; c++) {
      double penalized = gradients[c] + DECAY * value * slope(stored, raw);
      double shrunk = raw(stored, value * (1 - rate * DECAY));
      double g = gradients[c];
      expected[c] =
          switch (type) {
            case SGD -> raw - rate * (penalized + 0.9 * penalized);
            case ADAM -> raw - rate * penalized / (Math.abs(penalized) + EPS);
            case ADAMW -> shrunk - rate * g / (Math.abs(g) + EPS);
          };
    }
    assertArrayEquals(expected, Fixture.values(max.parameter()), 2e-6);
  }

  static Stream<Arguments> storedOtherwise() {
    return Stream.of(Parameterization.SOFTPLUS, Parameterization.EXP, Parameterization.LOG2)
        .flatMap(p -> Stream.of(OptimizerType.values()).map(type -> Arguments.of(type, p)));
  }

  private static Clip clip(Parameterization stored) {
    return new Clip(
        new ClipOptions(ClipForm.TIED).initial(START).parameterization(stored).perChannel(2, 1));
  }

  private static double raw(Parameterization stored, double value) {
    return switch (stored) {
      case SOFTPLUS -> Math.log(Math.exp(value) - 1);
      case EXP -> Math.log(value);
      case LOG2 -> Math.log(value) / Math.log(2);
      default -> value;
    };
  }

  /** The derivative of the value by what is stored. */
  private static double slope(Parameterization stored, double raw) {
    return switch (stored) {
      case SOFTPLUS -> 1 / (1 + Math.exp(-raw));
      case EXP -> Math.exp(raw);
      case LOG2 -> Math.pow(2, raw) * Math.log(2);
      default -> 1;
    };
  }

  @ParameterizedTest
  @EnumSource(Parameterization.class)
  void decayAloneLowersEveryThreshold(Parameterization stored) {
    for (OptimizerType type : OptimizerType.values()) {
      Clip clip = clip(stored);
      OptimizerConfig options = TrainerOptions.builder(type).weightDecay(0.5).build().optimizer();
      Optimizer optimizer = type.create(clip.parameters(), clip.thresholds(), options);
      double last = START;
      for (int step = 0; step < 5; step++) {
        optimizer.zero_grad();
        clip.forward(torch.zeros(3, 2)).sum().backward();
        optimizer.step();
        double now = clip.thresholds().get(0).mean();
        assertTrue(now < last, type + " from " + last + " to " + now);
        last = now;
      }
    }
  }

  /** Its authors take thresholds out of the regularization. */
  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void theThresholdOfTqtDoesNotDecay(OptimizerType type) {
    FakeQuantize layer =
        new FakeQuantize(new FakeQuantizeOptions(QuantizationMethod.TQT, 4, false, 0.5, 1, 1));
    OptimizerConfig options = OptimizerConfig.defaults(type).withThresholds(1, DECAY);
    Optimizer optimizer = type.create(layer.parameters(), layer.thresholds(), options);
    layer.forward(torch.zeros(3)).sum().backward();
    assertTrue(layer.thresholds().get(0).parameter().grad().defined());
    optimizer.step();
    assertEquals(0.5, layer.thresholds().get(0).mean());
  }

  @Test
  void aRateThatWouldTurnTheSignOfAValueIsRefused() {
    Clip clip = clip(Parameterization.EXP);
    OptimizerType type = OptimizerType.ADAMW;
    OptimizerConfig options =
        TrainerOptions.builder(type).learningRate(4).weightDecay(0.5).build().optimizer();
    Optimizer optimizer = type.create(clip.parameters(), clip.thresholds(), options);
    clip.forward(torch.zeros(3, 2)).sum().backward();
    ActclipException e = assertThrows(ActclipException.class, optimizer::step);
    assertEquals(
        "the threshold max can be multiplied by a finite number above 0, and not by -1.0",
        e.getMessage());
    assertEquals(START, clip.thresholds().get(0).mean(), 1e-7);
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void aStepWithAClosureIsTheClosureAndThenTheStep(OptimizerType type) {
    OptimizerConfig options = TrainerOptions.builder(type).weightDecay(0.5).build().optimizer();
    double[] values = new double[2];
    for (int i = 0; i < values.length; i++) {
      Clip clip = clip(Parameterization.EXP);
      Optimizer optimizer = type.create(clip.parameters(), clip.thresholds(), options);
      LossClosure closure =
          new LossClosure() {
            @Override
            public Tensor call() {
              Tensor loss = clip.forward(torch.ones(3, 2)).sum();
              loss.backward();
              return loss;
            }
          };
      if (i == 0) {
        assertEquals(6 * START, optimizer.step(closure).item_double(), 1e-6);
      } else {
        closure.call();
        optimizer.step();
      }
      values[i] = clip.thresholds().get(0).mean();
    }
    assertEquals(values[0], values[1]);
    assertTrue(values[0] < START);
  }

  /** PyTorch's {@code parameters()} lists it once, LibTorch's twice. */
  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void aLayerWithTwoNamesIsSteppedOnce(OptimizerType type) {
    for (Parameterization stored : Parameterization.values()) {
      OptimizerConfig options = OptimizerConfig.defaults(type).withThresholds(FACTOR, DECAY);
      double[] values = new double[2];
      for (int i = 0; i < values.length; i++) {
        Clip clip = clip(stored);
        Module module = new Module("twice");
        module.register_module("first", clip);
        if (i == 1) {
          module.register_module("second", clip);
        }
        TensorVector parameters = module.parameters();
        assertEquals(i + 1, parameters.size());
        Optimizer optimizer = type.create(parameters, clip.thresholds(), options);
        Optimizer plain = type.create(parameters, options);
        assertEquals(1, plain.param_groups().get(0).params().size());
        clip.forward(torch.ones(3, 2)).sum().backward();
        assertTrue(new GradScaler().unscale(parameters));
        optimizer.step();
        values[i] = clip.thresholds().get(0).mean();
      }
      assertEquals(values[0], values[1], stored.name());
    }
  }

  /** As where a checkpoint is of a version whose decay pulled on the logarithm. */
  @Test
  void theStateOfOtherGroupsIsOneSentence() {
    Clip clip = clip(Parameterization.EXP);
    OptimizerConfig options = OptimizerConfig.defaults(OptimizerType.SGD);
    Optimizer one = OptimizerType.SGD.create(clip.parameters(), options);
    Optimizer two = OptimizerType.SGD.create(clip.parameters(), clip.thresholds(), options);
    assertRefusesStateOf(
        one,
        two,
        OptimizerType.SGD,
        "loaded state dict has a different number of parameter groups");
  }

  /** That version set these thresholds apart, so that it has as many groups as there are now. */
  @ParameterizedTest
  @EnumSource
  void theStateOfGroupsThatDecayOtherwiseIsOneSentence(OptimizerType type) {
    OptimizerConfig options = TrainerOptions.builder(type).weightDecay(DECAY).build().optimizer();
    Clip raw = clip(Parameterization.RAW);
    Optimizer one =
        type.create(raw.parameters(), raw.thresholds(), options.withThresholds(FACTOR, DECAY));
    Clip clip = clip(Parameterization.EXP);
    Optimizer two =
        type.create(clip.parameters(), clip.thresholds(), options.withThresholds(FACTOR, DECAY));
    assertRefusesStateOf(one, two, type, "its groups decay by [0.5, 0.5] instead of [0.5, 0.0]");
  }

  private static void assertRefusesStateOf(
      Optimizer one, Optimizer two, OptimizerType type, String reason) {
    Tensor state = OptimizerState.save(one);
    ActclipException e =
        assertThrows(
            ActclipException.class, () -> OptimizerState.load(two, type, state, new Device("cpu")));
    assertEquals(
        "the optimizer cannot take up its state: "
            + reason
            + "; it is of other thresholds, or of an older actclip, whose weight decay pulled on"
            + " what softplus, exp, log2 and TQT store: begin a new training with its weights",
        e.getMessage());
  }

  @Test
  void aThresholdThatIsNotAmongTheParametersIsRefused() {
    Clip stranger = new Clip(new ClipOptions(ClipForm.TIED));
    OptimizerConfig options = OptimizerConfig.defaults(OptimizerType.SGD);
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> OptimizerType.SGD.create(module.parameters(), stranger.thresholds(), options));
    assertEquals(
        "the threshold max is not among the 3 parameters, and so would not learn: register its layer"
            + " with the module",
        e.getMessage());
    assertTrue(e.isBadInput());
  }
}
