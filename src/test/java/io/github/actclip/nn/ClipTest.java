package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.io.StateDict;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The layer around the clips: its parameters, shapes and statistics. The formulas are op's. */
class ClipTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(17);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @CsvSource({
    "TIED, max",
    "RELU, max",
    "TWO_SIDED, max min",
    "UNTIED, cut value",
    "SOFT, max",
    "GENERALIZED_RELU, bias",
    "IN_PLACE, max"
  })
  void everyFormRegistersItsParametersInFloat32(ClipForm form, String names) {
    Clip clip = new Clip(new ClipOptions(form).perChannel(3, 1));
    assertEquals(List.of(names.split(" ")), new ArrayList<>(StateDict.of(clip).keySet()));
    for (Threshold threshold : clip.thresholds()) {
      assertArrayEquals(new long[] {3}, threshold.parameter().shape());
      assertEquals(ScalarType.Float, threshold.parameter().scalar_type().intern());
    }
    assertEquals(form, clip.form());
  }

  @ParameterizedTest
  @EnumSource(
      value = ClipForm.class,
      names = {"IN_PLACE"},
      mode = EnumSource.Mode.EXCLUDE)
  void aChannelsThresholdActsOnItsChannelAlone(ClipForm form) {
    Tensor x = torch.randn(2, 3, 4);
    Clip perChannel = new Clip(options(form).perChannel(3, 1));
    set(perChannel, 0.25, 0.5, 1);
    Tensor y = perChannel.forward(x);
    double[] values = {0.25, 0.5, 1};
    for (int c = 0; c < 3; c++) {
      Clip one = new Clip(options(form));
      set(one, values[c]);
      assertArrayEquals(
          Fixture.values(one.forward(x.select(1, c))), Fixture.values(y.select(1, c)), form + "");
    }
  }

  @Test
  void channelsMayLieAlongAnyDimension() {
    Tensor x = torch.randn(2, 3, 4);
    long[][] shapes = {{2, 1, 1}, {3, 1}, {4}};
    for (int axis = -3; axis < 3; axis++) {
      int at = Math.floorMod(axis, 3);
      Clip clip = new Clip(new ClipOptions(ClipForm.TIED).perChannel((int) x.size(at), axis));
      Tensor t = torch.rand(x.size(at));
      copy(clip.thresholds().get(0).parameter(), t);
      assertArrayEquals(
          Fixture.values(ClipOp.clip(x, t.view(shapes[at]))), Fixture.values(clip.forward(x)));
    }
  }

  @Test
  void inAModuleOfTheUsersTheOptimizerMovesTheThreshold() {
    Module mine = new Module("mine");
    Clip clip = mine.register_module("clip", new Clip(new ClipOptions(ClipForm.RELU)));
    SGD optimizer = new SGD(mine.parameters(), new SGDOptions(0.1));
    Tensor x = Tensor.create(-1f, 0.5f, 2f, 3f);
    clip.forward(x).sum().backward();
    optimizer.step();
    assertEquals(1 - 0.1f * 2, StateDict.of(mine).get("clip.max").item_float(), 1e-7);
  }

  @Test
  void theShortestWayIsReluAndClip() {
    Tensor x = Tensor.create(-1f, 0.5f, 2f);
    assertArrayEquals(new double[] {0, 0.5, 1}, Fixture.values(Clip.relu(x, torch.ones(1))));
  }

  @ParameterizedTest
  @CsvSource({
    "RAW, max, 1",
    "ABS, raw_max, 1",
    "SOFTPLUS, raw_max, 0.9179150013761",
    "EXP, raw_max, 2.5",
    "LOG2, raw_max, 1.7328679513998633"
  })
  void parameterizationsStartWhereAskedAndPassTheChainRule(
      Parameterization parameterization, String name, double slope) {
    Clip clip =
        new Clip(new ClipOptions(ClipForm.TIED).initial(2.5).parameterization(parameterization));
    assertEquals(List.of(name), new ArrayList<>(StateDict.of(clip).keySet()));
    Threshold max = clip.thresholds().get(0);
    assertEquals("max", max.name());
    assertEquals(2.5, max.mean(), 1e-6);
    clip.forward(Tensor.create(1f, 3f, 4f)).sum().backward();
    assertEquals(2 * slope, max.parameter().grad().item_double(), 1e-5); // two are clipped
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-4, 0.5, 20, 1000})
  void everyParameterizationCanHoldAnyPositiveThreshold(double value) {
    for (Parameterization parameterization : Parameterization.values()) {
      Clip clip = new Clip(new ClipOptions(ClipForm.TIED).parameterization(parameterization));
      clip.thresholds().get(0).set(value);
      assertEquals(value, clip.thresholds().get(0).mean(), 1e-5 * value, parameterization + "");
    }
  }

  @Test
  void belowItsFloorTheThresholdHoldsAndComesBack() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).floor(0.5));
    Tensor raw = clip.thresholds().get(0).parameter();
    copy(raw, torch.full(new long[] {1}, new Scalar(0.2)));
    Tensor x = Tensor.create(1f, 2f);
    assertArrayEquals(new double[] {0.5, 0.5}, Fixture.values(clip.forward(x)));

    clip.forward(x).sum().backward(); // descending would lower it further
    assertEquals(0, raw.grad().item_double());
    clip.forward(x).sum().neg().backward(); // descending would raise it
    assertEquals(-2, raw.grad().item_double());
  }

  @Test
  void aFrozenThresholdGetsNoGradientUntilItIsUnfrozen() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).gradient(ThresholdGradient.FROZEN));
    Tensor x = torch.ones(3).mul(new Scalar(2)).detach().requires_grad_(true);
    Threshold max = clip.thresholds().get(0);
    assertTrue(max.isFrozen());
    clip.forward(x).sum().backward();
    assertFalse(max.parameter().grad().defined());
    clip.unfreeze();
    assertFalse(max.isFrozen());
    clip.freeze();
    assertTrue(max.isFrozen());
  }

  @Test
  void aLambdaSeesTheStatistics() {
    Clip clip =
        new Clip(
            new ClipOptions(ClipForm.TIED)
                .gradient(s -> s.clippedCount().mul(new Scalar(100)).add(s.positiveSum())));
    Tensor x = Tensor.create(-1f, 0.5f, 0.75f, 2f, 3f, 4f);
    clip.forward(x).sum().backward();
    assertEquals(302, clip.thresholds().get(0).parameter().grad().item_double());
  }

  @Test
  void theCutLearnsWhenABandwidthIsGiven() {
    Clip fixed = new Clip(new ClipOptions(ClipForm.UNTIED));
    assertTrue(fixed.thresholds().get(0).isFrozen());
    assertFalse(fixed.thresholds().get(1).isFrozen());

    Clip learned = new Clip(new ClipOptions(ClipForm.UNTIED).learnCut(0.5));
    learned.thresholds().get(1).set(0.25);
    learned.forward(Tensor.create(0.5f, 0.8f, 1.2f, 2f)).sum().backward();
    // Two lie within a quarter of the cut, and the output falls by 0.75 there.
    assertEquals(2 * 0.75 / 0.5, gradient(learned, 0), 1e-6);
    assertEquals(2, gradient(learned, 1));
  }

  @Test
  void theGeneralizedRelusCutFollowsItsBiasUnlessItIsFreed() {
    Tensor x = Tensor.create(-1f, -0.25f, 0.5f, 2f);
    Clip following = new Clip(new ClipOptions(ClipForm.GENERALIZED_RELU).bias(0.5));
    assertArrayEquals(new double[] {0, 0.25, 1, 2.5}, Fixture.values(following.forward(x)));

    Clip free = new Clip(new ClipOptions(ClipForm.GENERALIZED_RELU).bias(0.5).freeCut(1));
    assertEquals(List.of("bias", "cut"), new ArrayList<>(StateDict.of(free).keySet()));
    assertArrayEquals(new double[] {0, 0, 0, 2.5}, Fixture.values(free.forward(x)));
    assertTrue(free.thresholds().get(1).isFrozen());
    assertArrayEquals(new double[] {1}, Fixture.values(free.upper()));
    assertArrayEquals(new double[] {-0.5}, Fixture.values(following.upper()));
  }

  @Test
  void thresholdsStayFloat32WithBfloat16Activations() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(0.7));
    Tensor x = torch.ones(1000).to(ScalarType.BFloat16);
    Tensor y = clip.forward(x);
    y.to(ScalarType.Float).sum().backward();
    assertEquals(ScalarType.BFloat16, y.scalar_type().intern());
    Tensor gradient = clip.thresholds().get(0).parameter().grad();
    assertEquals(ScalarType.Float, gradient.scalar_type().intern());
    assertEquals(1000, gradient.item_double()); // bfloat16 has no 1,001 and would not count to it
  }

  @ParameterizedTest
  @EnumSource(
      value = ClipForm.class,
      names = {"GENERALIZED_RELU", "NONE"},
      mode = EnumSource.Mode.EXCLUDE)
  void calibrationSetsTheUpperThresholdOfEachChannel(ClipForm form) {
    Tensor x = torch.rand(5, 2, 7);
    Clip clip = new Clip(options(form).perChannel(2, 1));
    clip.calibrate(x, Calibration.MAX);
    assertArrayEquals(
        Fixture.values(x.amax(new long[] {0, 2}, false)), Fixture.values(clip.upper()));
    clip.thresholds()
        .forEach(
            t -> {
              boolean lower = t.name().equals("min");
              assertArrayEquals(
                  lower ? new double[] {-0.5, -0.5} : Fixture.values(clip.upper()),
                  Fixture.values(t.value()));
            });
  }

  @Test
  void aDimensionOfChannelsAloneCalibratesThem() {
    Clip clip = new Clip(new ClipOptions(ClipForm.RELU).perChannel(3, -1));
    for (Calibration calibration : Calibration.values()) {
      clip.calibrate(Tensor.create(0.5f, 2f, 8f), calibration);
      assertArrayEquals(new double[] {0.5, 2, 8}, Fixture.values(clip.upper()), 1e-6, "");
    }
  }

  @Test
  void aValueThatWasChosenStaysWhenTheCutIsCalibrated() {
    Clip clip = new Clip(new ClipOptions(ClipForm.UNTIED).initialValue(0));
    Tensor x = Tensor.create(0.5f, 1.5f, 3f);
    assertArrayEquals(new double[] {0.5, 0, 0}, Fixture.values(clip.forward(x)));
    clip.calibrate(Tensor.create(0.5f, 2f), Calibration.MAX);
    assertArrayEquals(new double[] {0.5, 1.5, 0}, Fixture.values(clip.forward(x)));
  }

  @Test
  void aChannelWithNothingAboveZeroKeepsItsThreshold() {
    Clip clip = new Clip(new ClipOptions(ClipForm.RELU).perChannel(3, 1).floor(0.5));
    Tensor x = Tensor.create(new float[] {2, -1, 0.25f, 3, 0, 0.125f}, 2, 3);
    clip.calibrate(x, Calibration.MAX);
    assertArrayEquals(new double[] {3, 1, 0.5}, Fixture.values(clip.upper()));
  }

  @Test
  void whereCalibrationIsRefusedNothingChanges() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).perChannel(2, 1));
    Tensor x = Tensor.create(new float[] {2, Float.NaN, 3, 1}, 2, 2);
    assertThrows(ActclipException.class, () -> clip.calibrate(x, Calibration.MAX));
    assertArrayEquals(new double[] {1, 1}, Fixture.values(clip.upper()));

    Clip crossed = new Clip(new ClipOptions(ClipForm.TWO_SIDED).initialMin(0.5));
    assertRefused(
        "the upper threshold for these activations (0.25) would be below the lower one (0.5)",
        () -> crossed.calibrate(Tensor.create(0.25f), Calibration.MAX));
    assertArrayEquals(new double[] {1}, Fixture.values(crossed.upper()));
  }

  @Test
  void whatIsHandedOutMayBeClosed() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED));
    clip.thresholds().get(0).value().close();
    Tensor upper = clip.upper();
    clip.thresholds().get(0).set(5);
    assertEquals(1, upper.item_double());
    upper.close();
    assertArrayEquals(new double[] {5}, Fixture.values(clip.forward(Tensor.create(9f))));
  }

  @Test
  void theClipRateIsOfTheThresholdAsItIsCompared() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(0.999)); // 1 in bfloat16
    clip.forward(torch.ones(4).to(ScalarType.BFloat16));
    assertEquals(0, clip.statistics().orElseThrow().clipRate());
  }

  @Test
  void theGeneralizedReluFreezesItsBias() {
    ClipOptions frozen =
        new ClipOptions(ClipForm.GENERALIZED_RELU).gradient(ThresholdGradient.FROZEN);
    assertTrue(new Clip(frozen).thresholds().get(0).isFrozen());
  }

  @Test
  void optionsThatTheFormWouldNotHeedAreOneSentence() {
    assertUnsuitable("initialMin (0.5)", new ClipOptions(ClipForm.TIED).initialMin(0.5));
    assertUnsuitable("initialValue (0.5)", new ClipOptions(ClipForm.TIED).initialValue(0.5));
    assertUnsuitable("bias (0.5)", new ClipOptions(ClipForm.RELU).bias(0.5));
    assertUnsuitable("beta (5.0)", new ClipOptions(ClipForm.TIED).beta(5));
    assertUnsuitable("initial (7.0)", new ClipOptions(ClipForm.GENERALIZED_RELU).initial(7));
    assertUnsuitable("floor (0.5)", new ClipOptions(ClipForm.UNTIED).floor(0.5));
    assertUnsuitable(
        "parameterization (EXP)",
        new ClipOptions(ClipForm.UNTIED).parameterization(Parameterization.EXP));
    for (ClipForm form : List.of(ClipForm.SOFT, ClipForm.IN_PLACE, ClipForm.GENERALIZED_RELU)) {
      assertUnsuitable(
          "gradient (a rule other than SUM and FROZEN)",
          new ClipOptions(form).gradient(ThresholdGradient.MEAN));
    }
    assertUnsuitable("learnCut (a bandwidth)", new ClipOptions(ClipForm.TIED).learnCut(0.1));
    assertUnsuitable("freeCut (0.5)", new ClipOptions(ClipForm.UNTIED).freeCut(0.5));
    assertUnsuitable("freeCut (0.5)", new ClipOptions(ClipForm.UNTIED).freeCut(0.5).learnCut(0.1));
    assertRefused(
        "the floor (NaN) must be a number", () -> new ClipOptions(ClipForm.TIED).floor(Double.NaN));
  }

  private static void assertUnsuitable(String option, ClipOptions options) {
    assertRefused(option + " is no option of the form " + options.form, () -> new Clip(options));
  }

  @Test
  void aRuleThatReturnsNothingIsOneSentence() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).gradient(s -> null));
    Tensor loss = clip.forward(Tensor.create(2f)).sum();
    assertRefused(
        "the rule returned no gradient: it must return one of the threshold's shape",
        () -> Autograd.backward(loss));
  }

  @Test
  void whatCannotBeClippedIsOneSentenceWhenItIsObserved() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED));
    assertRefused(
        "the activations: the tensor is sparse, and a clip takes dense ones",
        () -> clip.forward(torch.eye(3).to_sparse()));
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> clip.forward(torch.ones(2).to(new Device("meta"), ScalarType.Float)));
    assertTrue(e.getMessage().startsWith("the activations are on meta"), e.getMessage());
  }

  @Test
  void statisticsDescribeAForwardPassNowAndThen() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(2));
    assertTrue(clip.statistics().isEmpty());
    Tensor x = Tensor.create(-1f, 0.1f, 1.9f, 2f, 2.1f, 3.9f, 100f, 0.3f);
    clip.forward(x).sum().backward();
    ActivationStatistics first = clip.statistics().orElseThrow();
    assertEquals(2, first.threshold());
    assertEquals(3 / 8.0, first.clipRate());
    assertEquals(3, first.gradient());
    assertEquals(List.of(1L, 1L, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 1L), first.histogram().subList(0, 10));
    assertEquals(
        List.of(2L, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 1L), first.histogram().subList(10, 20));

    for (int i = 0; i < 15; i++) {
      clip.forward(torch.zeros(1));
    }
    assertEquals(first, clip.statistics().orElseThrow());
    for (int i = 0; i < 16; i++) { // Layers take turns.
      clip.forward(torch.zeros(1));
    }
    assertEquals(0, clip.statistics().orElseThrow().clipRate());
    assertEquals(3, clip.statistics().orElseThrow().gradient());
  }

  @Test
  void theGradientIsThereInALoopThatClearsItFirst() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(2));
    for (int clipped = 1; clipped <= 2; clipped++) {
      clip.zero_grad(true);
      clip.forward(torch.full(new long[] {clipped}, new Scalar(3f))).sum().backward();
      assertEquals(clipped, clip.statistics().orElseThrow().gradient());
    }
    clip.zero_grad(true);
    assertEquals(0, clip.statistics().orElseThrow().gradient());
  }

  @Test
  void nothingIsObservedWithoutGradients() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED));
    scope.noGrad();
    clip.forward(torch.randn(3));
    assertTrue(clip.statistics().isEmpty());
  }

  @Test
  void anEmptyBatchHasNoClipRate() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED));
    clip.forward(torch.randn(0, 3));
    assertEquals(0, clip.statistics().orElseThrow().clipRate());
  }

  @Test
  void aChangeMakesOtherOptions() {
    ClipOptions options = new ClipOptions(ClipForm.SOFT).beta(100);
    Clip clip = new Clip(options);
    assertNotEquals(options, options.beta(0.001));
    assertEquals(1, clip.forward(Tensor.create(9f)).item_double(), 1e-6);
    assertEquals(1, new Clip(options).forward(Tensor.create(9f)).item_double(), 1e-6);
  }

  @Test
  void optionsOfTheSameValuesAreEqual() {
    List<UnaryOperator<ClipOptions>> changes =
        List.of(
            o -> o,
            o -> o.initial(2),
            o -> o.initialMin(-1),
            o -> o.initialValue(1),
            o -> o.bias(0.5),
            o -> o.freeCut(0),
            o -> o.beta(5),
            o -> o.perChannel(3, 1),
            o -> o.perChannel(3, -1),
            o -> o.parameterization(Parameterization.EXP),
            o -> o.floor(0.5),
            o -> o.gradient(ThresholdGradient.MEAN),
            o -> o.learnCut(0.5),
            o -> new ClipOptions(ClipForm.RELU));
    Set<ClipOptions> different = new HashSet<>();
    for (UnaryOperator<ClipOptions> change : changes) {
      ClipOptions some = change.apply(new ClipOptions(ClipForm.TIED));
      assertTrue(different.add(some), some.toString());
      assertEquals(some, change.apply(new ClipOptions(ClipForm.TIED)));
    }
  }

  @Test
  void nativeMemoryStaysFlat() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).gradient(ThresholdGradient.MEAN));
    Tensor x = torch.randn(4096);
    train(clip, x, 2_000);
    long before = Pointer.physicalBytes();
    train(clip, x, 20_000);
    long grown = Pointer.physicalBytes() - before;
    // 20,000 leaked outputs and gradients would be over 1 GB; the Java heap may still grow.
    assertTrue(grown < 250L << 20, "grew by " + (grown >> 20) + " MiB");
  }

  @Test
  void badOptionsAreOneSentence() {
    assertRefused(
        "the lower threshold (2.0) must not be above the upper one (1.0)",
        () -> new Clip(new ClipOptions(ClipForm.TWO_SIDED).initialMin(2)));
    assertRefused(
        "the threshold max (0.0) must be a finite number above 0",
        () -> new Clip(new ClipOptions(ClipForm.TIED).initial(0)));
    assertRefused(
        "the threshold max (NaN) must be a finite number above 0",
        () -> new Clip(new ClipOptions(ClipForm.TIED).initial(Double.NaN)));
    assertRefused(
        "the threshold min (-Infinity) must be a finite number",
        () -> new Clip(new ClipOptions(ClipForm.TWO_SIDED).initialMin(Double.NEGATIVE_INFINITY)));
    assertRefused(
        "the threshold max (1.0) must be at least its floor (1.5)",
        () -> new Clip(new ClipOptions(ClipForm.TIED).floor(1.5)));
    assertRefused(
        "channels (0) must be 1 to 1048576", () -> new ClipOptions(ClipForm.TIED).perChannel(0, 1));
    assertRefused(
        "beta (0.0) must be above 0 and a normal float32 number, 1.17549435E-38 to 3.4028235E38",
        () -> new ClipOptions(ClipForm.SOFT).beta(0));
    assertRefused(
        "the bandwidth (-1.0) must be above 0 and a normal float32 number, 1.17549435E-38 to 3.4028235E38",
        () -> new ClipOptions(ClipForm.UNTIED).learnCut(-1));
    assertRefused(
        "the generalised ReLU has no upper threshold to calibrate",
        () ->
            new Clip(new ClipOptions(ClipForm.GENERALIZED_RELU))
                .calibrate(torch.ones(3), Calibration.MAX));
  }

  @Test
  void noneLeavesAllAsItIs() {
    Clip none = new Clip(new ClipOptions(ClipForm.NONE));
    Tensor x = torch.randn(3, 2).requires_grad_(true);
    Tensor y = none.forward(x);
    assertArrayEquals(Fixture.values(x), Fixture.values(y));
    y.sum().backward();
    assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, Fixture.values(x.grad()));
    y.close();
    assertEquals(6, x.numel()); // y was a handle of its own
    assertEquals(List.of(), none.thresholds());
    assertEquals(Optional.empty(), none.statistics());
    assertArrayEquals(new double[] {Double.POSITIVE_INFINITY}, Fixture.values(none.upper()));
    assertRefused(
        "the form NONE has no threshold to calibrate", () -> none.calibrate(x, Calibration.MAX));
    assertRefused(
        "initial (2.0) is no option of the form NONE",
        () -> new Clip(new ClipOptions(ClipForm.NONE).initial(2)));
    assertRefused(
        "learnCut (a bandwidth) is no option of the form NONE",
        () -> new Clip(new ClipOptions(ClipForm.NONE).learnCut(1)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"2,4", "2,4,3", "5", ""})
  void activationsWithoutTheChannelsAreOneSentence(String text) {
    long[] shape =
        Arrays.stream(text.split(","))
            .filter(s -> !s.isEmpty())
            .mapToLong(Long::parseLong)
            .toArray();
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).perChannel(3, 1));
    assertRefused(
        "the activations have the shape "
            + Arrays.toString(shape)
            + ": this layer takes 3 channels along dimension 1",
        () -> clip.forward(torch.zeros(shape)));
  }

  @Test
  void whatIsNoTensorOrNoLongerALayerIsOneSentence() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED));
    assertRefused("the activations: there is no tensor", () -> clip.forward(null));
    assertRefused("the activations: there is no tensor", () -> clip.forward(new Tensor()));
    assertRefused(
        "the activations: the dtype is Long, and a clip takes one of"
            + " [Half, Float, Double, BFloat16]",
        () -> clip.forward(torch.ones(2).to(ScalarType.Long)));
    clip.close();
    assertRefused(
        "this layer was closed: make it outside of the scope that closed it",
        () -> clip.forward(torch.ones(2)));
  }

  /** Where calibration throws, no channel was changed, whichever does not suit. */
  @Test
  void aChannelThatCannotBeSetLeavesTheOthersAsTheyAre() {
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).perChannel(2, 0));
    Tensor x = torch.tensor(3.0).to(ScalarType.Double).expand(2, 4).contiguous();
    x.select(0, 1).fill_(new Scalar(1e300)); // no float32
    assertThrows(ActclipException.class, () -> clip.calibrate(x, Calibration.MAX));
    assertArrayEquals(new double[] {1, 1}, Fixture.values(clip.upper()));
  }

  private static ClipOptions options(ClipForm form) {
    ClipOptions options = new ClipOptions(form);
    return form == ClipForm.TWO_SIDED ? options.initialMin(-0.5) : options;
  }

  /**
   * Gives the first threshold of a clip one value for each channel; an untied clip's second, too.
   */
  private static void set(Clip clip, double... values) {
    for (Threshold threshold : clip.thresholds()) {
      if (!threshold.name().equals("min")) {
        threshold.setOrFloor(values);
      }
    }
  }

  private static double gradient(Clip clip, int threshold) {
    return clip.thresholds().get(threshold).parameter().grad().item_double();
  }

  private static void copy(Tensor to, Tensor from) {
    to.detach().copy_(from);
  }

  private static void train(Clip clip, Tensor x, int steps) {
    for (int i = 0; i < steps; i++) {
      TensorScope.run(() -> clip.forward(x).sum().backward());
    }
  }

  private static void assertRefused(String sentence, Executable executable) {
    ActclipException e = assertThrows(ActclipException.class, executable);
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
