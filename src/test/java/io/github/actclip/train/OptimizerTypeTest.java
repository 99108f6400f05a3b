package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.List;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Parameter groups: in a loop of one's own, against the optimizers' formulas. */
class OptimizerTypeTest {

  private static final double EPS = 1e-8;
  private static final double FACTOR = 0.25;
  private static final double DECAY = 0.5;

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
        type.create(module.parameters(), thresholds, TrainerOptions.defaults(type));
    assertEquals(1, optimizer.param_groups().size());
    assertEquals(3, optimizer.param_groups().get(0).params().size());
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void aModuleWithoutThresholdsHasOneGroup(OptimizerType type) {
    TrainerOptions options = TrainerOptions.defaults(type).withThresholds(FACTOR, DECAY);
    assertEquals(
        1, type.create(module.linear.parameters(), List.of(), options).param_groups().size());
  }

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void thresholdsComeSecondWithTheirOwnRate(OptimizerType type) {
    TrainerOptions options = TrainerOptions.defaults(type).withThresholds(FACTOR, DECAY);
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
    TrainerOptions options = TrainerOptions.defaults(type).withThresholds(FACTOR, DECAY);
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

  @Test
  void aThresholdThatIsNotAmongTheParametersIsRefused() {
    Clip stranger = new Clip(new ClipOptions(ClipForm.TIED));
    TrainerOptions options = TrainerOptions.defaults(OptimizerType.SGD);
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
