package io.github.actclip.nn.models;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.Threshold;
import io.github.actclip.op.PoolOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Net with every way to clip. */
class NetActivationTest {

  private static final int STEPS = 12;
  private static final List<String> WEIGHTS =
      List.of(
          "conv1.weight",
          "conv1.bias",
          "conv2.weight",
          "conv2.bias",
          "linear.weight",
          "linear.bias");

  static {
    LibTorch.load();
  }

  private TensorScope scope;
  private Tensor images;
  private Tensor labels;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(29);
    images = torch.rand(32, 3, 32, 32);
    labels = torch.randint(0, 10, new long[] {32}, new TensorOptions(ScalarType.Long));
  }

  @AfterEach
  void close() {
    scope.close();
  }

  static Stream<Arguments> everyWay() {
    return Stream.of(
        Arguments.of(clip(ClipForm.TIED), List.of("act_max")),
        Arguments.of(clip(ClipForm.RELU), List.of("act_max")),
        Arguments.of(clip(ClipForm.TWO_SIDED), List.of("act_max", "act_min")),
        Arguments.of(clip(ClipForm.UNTIED), List.of("act_cut", "act_value")),
        Arguments.of(clip(ClipForm.SOFT), List.of("act_max")),
        Arguments.of(clip(ClipForm.GENERALIZED_RELU), List.of("act_bias")),
        Arguments.of(bits(QuantizationMethod.PACT, 0), List.of("act_max")),
        Arguments.of(bits(QuantizationMethod.LSQ, 0), List.of("act_scale")),
        Arguments.of(bits(QuantizationMethod.LSQ_PLUS, 0), List.of("act_scale", "act_offset")),
        Arguments.of(bits(QuantizationMethod.TQT, 0), List.of("act_raw_max")));
  }

  @ParameterizedTest
  @MethodSource("everyWay")
  void learnsItsThresholdsAndItsWeights(ActivationOptions options, List<String> names) {
    Net net = new Net(NetOptions.original().with(options));
    List<String> expected = new ArrayList<>(names);
    expected.addAll(WEIGHTS);
    assertEquals(expected, new ArrayList<>(StateDict.of(net).keySet()));

    SGD optimizer = new SGD(net.parameters(), new SGDOptions(0.005));
    double[] before = thresholds(net);
    double first = step(net, optimizer);
    double last = first;
    for (int i = 1; i < STEPS; i++) {
      last = step(net, optimizer);
    }
    assertTrue(last < first, first + " to " + last);
    double[] after = thresholds(net);
    List<Threshold> learned = List.copyOf(net.thresholds().values());
    for (int i = 0; i < before.length; i++) {
      if (learned.get(i).isFrozen()) {
        assertEquals(before[i], after[i]);
      } else {
        assertNotEquals(before[i], after[i], learned.get(i).name());
      }
    }
  }

  static Stream<ActivationOptions> everyWayAndMore() {
    return Stream.concat(
        everyWay().map(way -> (ActivationOptions) way.get()[0]),
        Stream.of(perChannel(), bits(QuantizationMethod.LSQ, 4)));
  }

  private static ActivationOptions perChannel() {
    return ActivationOptions.clip(
            new ClipOptions(ClipForm.TIED)
                .gradient(ThresholdGradient.MEAN)
                .initial(0.5)
                .parameterization(Parameterization.SOFTPLUS)
                .floor(0.1))
        .perChannel(true);
  }

  /** A rule of its own keeps the recorded pass from the kernels' convolution. */
  @ParameterizedTest
  @MethodSource("everyWayAndMore")
  void givesTheSameWithoutAGradient(ActivationOptions options) {
    Net net = new Net(NetOptions.original().with(options));
    for (Tensor some : new Tensor[] {images, images.narrow(0, 0, 1)}) {
      Tensor recorded = net.forward(some);
      try (TensorScope inner = new TensorScope()) {
        inner.noGrad();
        Tensor plain = net.forward(some);
        assertTrue(torch.allclose(recorded, plain, 1e-4, 1e-5, false), options + "");
        if (!options.equals(perChannel())) { // whose rule is not SUM
          Bits.assertSame(recorded, plain, options + "");
        }
      }
    }
  }

  @Test
  void clipsFromAboveAloneGoTheShortWay() {
    Net original = new Net();
    Map<String, Tensor> state = StateDict.of(original);
    assumeTrue(
        PoolOp.isConvolutionNative(
            images.contiguous(Net.MEMORY_FORMAT),
            state.get("conv1.weight"),
            state.get("conv1.bias"),
            original.actMax()),
        "no kernel for convolutions on this processor");
    for (ClipForm form : List.of(ClipForm.TIED, ClipForm.RELU)) {
      assertEquals(0, convolutions(clip(form)), form + "");
    }
    assertEquals(1, convolutions(clip(ClipForm.SOFT)));
    assertEquals(1, convolutions(clip(ClipForm.TWO_SIDED)));
    assertEquals(1, convolutions(perChannel()), "by a rule of its own");
    assertEquals(1, convolutions(bits(QuantizationMethod.LSQ, 0)));
    assertEquals(2, convolutions(bits(QuantizationMethod.LSQ, 4)));
  }

  private long convolutions(ActivationOptions options) {
    return Gradients.convolutions(new Net(NetOptions.original().with(options)).forward(images));
  }

  @Test
  void aLayerForOtherChannelsIsRefusedTheSameWithoutAGradient() {
    ClipOptions half = new ClipOptions(ClipForm.TIED).perChannel(16, 1);
    Net net = new Net(NetOptions.original(), new Clip(half));
    assertTakes16Channels(net);
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      assertTakes16Channels(net);
    }
  }

  private void assertTakes16Channels(Net net) {
    ActclipException e = assertThrows(ActclipException.class, () -> net.forward(images));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains("this layer takes 16 channels"), e.getMessage());
  }

  @Test
  void theFormThatRectifiesIsTheSameAsTheOneAfterARelu() {
    assertArrayEquals(logits(clip(ClipForm.TIED)), logits(clip(ClipForm.RELU)));
  }

  @Test
  void everyChannelMayHaveItsThreshold() {
    Net net = new Net(NetOptions.original().with(perChannel()));
    assertArrayEquals(new long[] {32}, net.actMax().shape());
    assertEquals(0.5, net.threshold(), 1e-6);
    cross_entropy_loss(net.forward(images), labels).backward();
    assertTrue(net.actMax().grad().ne(torch.zeros(1)).any().item_bool());
  }

  @Test
  void theCutLearnsByItsBandwidth() {
    for (ClipForm form : List.of(ClipForm.UNTIED, ClipForm.GENERALIZED_RELU)) {
      ActivationOptions options = ActivationOptions.clip(new ClipOptions(form).learnCut(0.2));
      Net net = new Net(NetOptions.original().with(options));
      net.activation().thresholds().get(0).set(0.8);
      cross_entropy_loss(net.forward(images), labels).backward();
      Threshold cut = net.thresholds().get("act_cut");
      assertNotEquals(0, cut.parameter().grad().item_double(), form + "");
    }
  }

  @ParameterizedTest
  @EnumSource(QuantizationMethod.class)
  void quantizedWeightsLearnByEveryMethod(QuantizationMethod method) {
    Net net = new Net(NetOptions.original().with(bits(method, 4)));
    SGD optimizer = new SGD(net.parameters(), new SGDOptions(0.005));
    double first = step(net, optimizer);
    double last = first;
    for (int i = 1; i < STEPS; i++) {
      last = step(net, optimizer);
    }
    assertTrue(last < first, first + " to " + last);
    for (Threshold threshold : net.thresholds().values()) {
      assertTrue(threshold.parameter().grad().defined(), threshold.name());
    }
  }

  @Test
  void aQuantizerOfActivationsMayBeFrozenAndHaveAScaleForEachChannel() {
    ActivationOptions frozen =
        clip(ClipForm.TIED, ThresholdGradient.FROZEN).quantized(QuantizationMethod.LSQ, 4, 0);
    Net net = new Net(NetOptions.original().with(frozen));
    assertTrue(net.activation().thresholds().get(0).isFrozen());
    assertArrayEquals(new long[] {1}, net.actMax().shape());

    ActivationOptions perChannel =
        ActivationOptions.original().perChannel(true).quantized(QuantizationMethod.LSQ, 4, 0);
    Net other = new Net(NetOptions.original().with(perChannel));
    assertArrayEquals(new long[] {32}, other.actMax().shape());
    cross_entropy_loss(other.forward(images), labels).backward();
    assertArrayEquals(new long[] {32}, other.actMax().grad().shape());
  }

  @Test
  void frozenIsFrozenInEveryForm() {
    for (ClipForm form : ClipForm.values()) {
      Net net = new Net(NetOptions.original().with(clip(form, ThresholdGradient.FROZEN)));
      assertTrue(net.thresholds().values().stream().allMatch(Threshold::isFrozen), form + "");
    }
  }

  /** Pooling and ReLU commute: it is the original with a threshold above all activations. */
  @Test
  void itMayClipNothing() {
    torch.manual_seed(9);
    Net plain = new Net(NetOptions.original().with(ActivationOptions.relu()));
    ClipOptions far = new ClipOptions(ClipForm.TIED).initial(1e9);
    torch.manual_seed(9);
    Net clipped = new Net(NetOptions.original().with(ActivationOptions.clip(far)));
    Bits.assertSame(clipped.forward(images), plain.forward(images), "logits");
    assertEquals(Map.of(), plain.thresholds());
    assertEquals(Double.POSITIVE_INFINITY, plain.threshold());
    ActclipException e = assertThrows(ActclipException.class, plain::actMax);
    assertEquals("this network has no threshold: it is " + plain, e.getMessage());
  }

  @Test
  void weightsAreQuantizedForEachOutputChannel() {
    Net net = new Net(NetOptions.original().with(bits(QuantizationMethod.LSQ, 2)));
    Map<String, Tensor> state = StateDict.of(net);
    assertArrayEquals(new long[] {32}, state.get("conv1_quantizer.scale").shape());
    assertArrayEquals(new long[] {64}, state.get("conv2_quantizer.scale").shape());
    assertArrayEquals(new long[] {10}, state.get("linear_quantizer.scale").shape());
    assertEquals(4, net.thresholds().size());

    Tensor fullPrecision =
        new Net(NetOptions.original().with(bits(QuantizationMethod.LSQ, 0))).forward(images);
    Tensor logits = net.forward(images);
    assertTrue(logits.sub(fullPrecision).abs().max().item_double() > 1e-3);
    cross_entropy_loss(logits, labels).backward();
    for (Map.Entry<String, Tensor> entry : state.entrySet()) {
      assertTrue(entry.getValue().grad().defined(), entry.getKey());
      assertTrue(entry.getValue().grad().abs().sum().item_double() > 0, entry.getKey());
    }
  }

  @Test
  void aLookAtTheNetworkLeavesNoTraceInItsLayers() {
    Net net = new Net();
    net.observe(images);
    assertTrue(net.activation().statistics().isEmpty());

    cross_entropy_loss(net.forward(images), labels).backward();
    ActivationStatistics seen = net.activation().statistics().orElseThrow();
    ActivationStatistics all = look(net, images);
    assertEquals(all.threshold(), seen.threshold());
    assertEquals(all.gradient(), seen.gradient());
    assertEquals(all.clipRate(), seen.clipRate(), 0.03); // 4,096 of them: 4 standard deviations
    assertTrue(look(net, images.mul(new Scalar(0.1))).clipRate() < all.clipRate());
    assertEquals(seen, net.activation().statistics().orElseThrow());
  }

  /** Against the definition, by LibTorch's operations. */
  @Test
  void aLookSeesAllThatComesToTheLayer() {
    Net net = new Net();
    net.activation().thresholds().get(0).set(0.7);
    Map<String, Tensor> state = StateDict.of(net);
    Tensor convolved =
        torch.conv2d(
            images.contiguous(Net.MEMORY_FORMAT),
            state.get("conv1.weight"),
            new TensorOptional(state.get("conv1.bias")),
            new long[] {1, 1},
            new long[] {0, 0},
            new long[] {1, 1},
            1);
    Tensor pooled = torch.max_pool2d(convolved, 2, 2).relu();
    ActivationStatistics seen = look(net, images);
    assertEquals((double) 0.7f, seen.threshold());
    double above = pooled.gt(net.actMax()).sum().item_double();
    assertEquals(above / pooled.numel(), seen.clipRate());
    assertEquals(counted(pooled, 0.7f), seen.histogram());
    net.observe(images, (name, input) -> Bits.assertSame(pooled, input, name));
  }

  private static ActivationStatistics look(Net net, Tensor images) {
    Map<String, ActivationStatistics> seen = net.observe(images);
    assertEquals(List.of("act_max"), List.copyOf(seen.keySet()));
    return seen.get("act_max");
  }

  /** In tenths of the threshold, up to twice of it. */
  private static List<Long> counted(Tensor activations, float threshold) {
    long[] counts = new long[20];
    for (double activation : Fixture.values(activations)) {
      float relative = (float) activation / threshold;
      if (relative <= 2) {
        counts[Math.min((int) (relative * 10), 19)]++;
      }
    }
    return Arrays.stream(counts).boxed().toList();
  }

  @Test
  void calibrationStartsFromTheActivations() {
    Net net = new Net();
    net.calibrate(images, Calibration.MAX);
    assertEquals(0, look(net, images).clipRate());
    net.actMax().detach().sub_(torch.full(new long[] {1}, new Scalar(1e-3)));
    assertTrue(look(net, images).clipRate() > 0);
  }

  @Test
  void aLayerOfTheUsersTakesThePlaceOfTheOptions() {
    Clip mine =
        new Clip(
            new ClipOptions(ClipForm.TIED).gradient(s -> ThresholdGradient.MEAN.gradient(s).neg()));
    Net net = new Net(NetOptions.original(), mine);
    assertSame(mine, net.activation());
    Net usual = new Net(NetOptions.original().with(clip(ClipForm.TIED, ThresholdGradient.MEAN)));
    StateDict.load(usual, StateDict.of(net));
    cross_entropy_loss(net.forward(images), labels).backward();
    cross_entropy_loss(usual.forward(images), labels).backward();
    assertEquals(-usual.actMax().grad().item_double(), net.actMax().grad().item_double());
  }

  @Test
  void aFrozenThresholdStaysOutOfBackward() {
    Net net = new Net(NetOptions.original().with(clip(ClipForm.TIED, ThresholdGradient.FROZEN)));
    cross_entropy_loss(net.forward(images), labels).backward();
    assertTrue(net.activation().thresholds().get(0).isFrozen());
    assertTrue(!net.actMax().grad().defined());
  }

  @Test
  void whatDoesNotGoTogetherIsOneSentence() {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> clip(ClipForm.SOFT).quantized(QuantizationMethod.PACT, 4, 0));
    assertEquals("form (SOFT) must be TIED with activation bits", e.getMessage());
    ActclipException bits =
        assertThrows(
            ActclipException.class,
            () -> ActivationOptions.original().quantized(QuantizationMethod.LSQ, 4, 9));
    assertEquals("weightBits (9) must be 2 to 8", bits.getMessage());
    ThresholdGradient mine = statistics -> statistics.clippedSum();
    ActclipException rule = assertThrows(ActclipException.class, () -> clip(ClipForm.TIED, mine));
    assertTrue(
        rule.getMessage()
            .endsWith(
                "must be one of [SUM, MEAN, SUM_OF_MEANS, LSQ, FROZEN]: a file cannot hold another;"
                    + " give one to a Clip of yours"),
        rule.getMessage());
  }

  @Test
  void whatAFileCannotHoldIsOneSentence() {
    Map<String, ClipOptions> refused =
        Map.of(
            "initialMin (-1.0) must be 0.0 in options that a file holds: give another to a Clip of"
                + " yours",
            new ClipOptions(ClipForm.TWO_SIDED).initialMin(-1),
            "initialValue (0.0) must be left out in options that a file holds: give another to a"
                + " Clip of yours",
            new ClipOptions(ClipForm.UNTIED).initialValue(0),
            "the clip's options are for 32 channels, and layers have different numbers of them:"
                + " leave that out, and say perChannel(true) of the activation options",
            new ClipOptions(ClipForm.RELU).perChannel(32, 1));
    refused.forEach(
        (sentence, options) -> {
          ActclipException e =
              assertThrows(ActclipException.class, () -> ActivationOptions.clip(options));
          assertTrue(e.isBadInput());
          assertEquals(sentence, e.getMessage());
        });
  }

  private double[] logits(ActivationOptions options) {
    torch.manual_seed(1);
    Net net = new Net(NetOptions.original().with(options));
    return Fixture.values(net.forward(images));
  }

  private double step(Net net, SGD optimizer) {
    optimizer.zero_grad();
    Tensor loss = cross_entropy_loss(net.forward(images), labels);
    loss.backward();
    optimizer.step();
    return loss.item_double();
  }

  private static double[] thresholds(Net net) {
    return net.thresholds().values().stream().mapToDouble(Threshold::mean).toArray();
  }

  private static ActivationOptions clip(ClipForm form) {
    return clip(form, ThresholdGradient.SUM);
  }

  private static ActivationOptions clip(ClipForm form, ThresholdGradient rule) {
    return ActivationOptions.clip(new ClipOptions(form).gradient(rule));
  }

  private static ActivationOptions bits(QuantizationMethod method, int weightBits) {
    return ActivationOptions.original().quantized(method, 4, weightBits);
  }
}
