package io.github.actclip.nn.models;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every network with every way to limit what is in it. */
class ModelsTest {

  private static final ActivationOptions CLIPS =
      ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(2));
  private static final ActivationOptions TIED =
      ActivationOptions.clip(new ClipOptions(ClipForm.TIED).initial(2));

  /** Sums in another order, in float32. */
  private static final double SUMMED = 1e-4;

  private static final int MOST_MEBIBYTES = 8;

  static {
    LibTorch.load();
  }

  /** Small ones, for images of three channels in five classes. */
  enum Kind {
    MLP(32, activation -> new Mlp(new MlpOptions(3072, List.of(24, 12), 5, activation))),
    RESNET20(32, activation -> new ResNet(ResNetOptions.resnet20(3, 5).with(activation))),
    RESNET18(
        64,
        activation ->
            new ResNet(
                new ResNetOptions(
                    ResNetOptions.Stem.IMAGENET, List.of(2, 2, 2, 2), 8, 3, 5, activation))),
    MOBILE_NET_V2(
        64, activation -> new MobileNetV2(new MobileNetV2Options(0.1, 0, 3, 5, activation)));

    /** Height and width of the images. */
    private final int size;

    private final Function<ActivationOptions, Network> maker;

    Kind(int size, Function<ActivationOptions, Network> maker) {
      this.size = size;
      this.maker = maker;
    }

    Tensor images(int samples) {
      return torch.randn(samples, 3, size, size);
    }

    Network make(ActivationOptions activation) {
      torch.manual_seed(3);
      return maker.apply(activation);
    }

    int activations() {
      return switch (this) {
        case MLP -> 2;
        case RESNET20 -> 19;
        case RESNET18 -> 17;
        case MOBILE_NET_V2 -> 35;
      };
    }
  }

  @BeforeEach
  void seed() {
    torch.manual_seed(4);
  }

  static Stream<Arguments> everyWay() {
    List<ActivationOptions> ways =
        List.of(
            ActivationOptions.relu(),
            CLIPS,
            CLIPS.perChannel(true),
            TIED.quantized(QuantizationMethod.PACT, 4, 4),
            TIED.perChannel(true).quantized(QuantizationMethod.LSQ, 4, 4));
    return Stream.of(Kind.values())
        .flatMap(kind -> ways.stream().map(way -> Arguments.of(kind, way)));
  }

  /** All parameters get a gradient, and a few steps on one batch make the loss smaller. */
  @ParameterizedTest
  @MethodSource("everyWay")
  void itLearns(Kind kind, ActivationOptions way) {
    Network network = kind.make(way);
    List<Double> losses = new ArrayList<>();
    try (Tensor x = kind.images(10);
        Tensor target = target(10);
        Adam optimizer = new Adam(network.parameters(), new AdamOptions(0.001))) {
      for (int i = 0; i < 10; i++) {
        TensorScope.run(() -> losses.add(step(network, optimizer, x, target)));
      }
      TensorScope.run(
          () ->
              StateDict.of(network)
                  .forEach(
                      (name, it) -> assertEquals(it.requires_grad(), it.grad().defined(), name)));
    }
    assertTrue(losses.get(9) < losses.get(0), losses + "");
    assertTrue(losses.stream().allMatch(Double::isFinite), losses + "");
  }

  private static double step(Network network, Optimizer optimizer, Tensor x, Tensor target) {
    optimizer.zero_grad();
    Tensor loss = cross_entropy_loss(network.forward(x), target);
    loss.backward();
    optimizer.step();
    return loss.item_double();
  }

  private static Tensor target(int samples) {
    try (Tensor numbers = torch.arange(new Scalar(samples))) {
      return numbers.remainder(new Scalar(5)).to(ScalarType.Long);
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void whatComesToEveryActivationIsObserved(Kind kind) {
    Network network = kind.make(CLIPS.perChannel(true));
    TensorScope.run(
        () -> {
          List<String> seen = List.copyOf(network.observe(kind.images(2)).keySet());
          assertEquals(List.copyOf(network.thresholds().keySet()), seen);
          assertEquals(kind.activations(), seen.size());
        });
    assertEquals(0, kind.make(ActivationOptions.relu()).thresholds().size());
  }

  @Test
  void weightsAreAsManyAsTheOptionsSay() {
    MlpOptions mlp = new MlpOptions(7, List.of(5, 3), 2, CLIPS);
    assertWeights(mlp.weightCount(), new Mlp(mlp));
    ResNetOptions small = ResNetOptions.resnet20(2, 5);
    assertWeights(small.weightCount(), new ResNet(small));
    ResNetOptions large = ResNetOptions.resnet18(3, 10);
    assertWeights(large.weightCount(), new ResNet(large));
    MobileNetV2Options mobile = new MobileNetV2Options(0.3, 0, 2, 5, CLIPS);
    assertWeights(mobile.weightCount(), new MobileNetV2(mobile));
  }

  /** Not counted is what has one dimension: biases, thresholds, and what normalises. */
  private static void assertWeights(long count, Network network) {
    TensorScope.run(
        () ->
            assertEquals(
                StateDict.of(network).values().stream()
                    .filter(tensor -> tensor.dim() > 1)
                    .mapToLong(Tensor::numel)
                    .sum(),
                count));
  }

  @Test
  void thresholdsStandBesideWhatTheyLimit() {
    assertTrue(names(Kind.MLP).containsAll(List.of("1.max", "4.max")));
    assertTrue(
        names(Kind.RESNET20)
            .containsAll(List.of("act1.max", "layer1.0.act1.max", "layer3.2.act2.max")));
    assertTrue(
        names(Kind.MOBILE_NET_V2)
            .containsAll(
                List.of("features.0.2.max", "features.1.conv.0.2.max", "features.18.2.max")));
  }

  private static List<String> names(Kind kind) {
    return List.copyOf(kind.make(CLIPS).thresholds().keySet());
  }

  /** In float32; and a clip far above all activations is none. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void anyMemoryFormatGivesTheSame(Kind kind) {
    Network network = kind.make(CLIPS);
    Network other = kind.make(CLIPS);
    TensorScope.run(
        () -> {
          StateDict.of(other).values().stream()
              .filter(tensor -> tensor.dim() == 4)
              .forEach(weight -> weight.set_data(weight.contiguous(MemoryFormat.Contiguous)));
          Tensor x = kind.images(4);
          Tensor expected = network.forward(x);
          assertClose(expected, network.forward(x.contiguous(MemoryFormat.ChannelsLast)));
          assertClose(expected, other.forward(x));
        });
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void aClipFarAboveIsNone(Kind kind) {
    Network plain = kind.make(ActivationOptions.relu());
    Network clipped =
        kind.make(ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(1e9)));
    TensorScope.run(
        () -> {
          Tensor x = kind.images(4);
          Bits.assertSame(plain.forward(x), clipped.forward(x), "logits");
        });
  }

  private static void assertClose(Tensor expected, Tensor actual) {
    assertArrayEquals(TensorNumbers.of(expected), TensorNumbers.of(actual), SUMMED);
  }

  /** Also of what the presets free with their Java objects, such as batch normalisation. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void memoryStaysFlat(Kind kind) {
    Network network = kind.make(CLIPS);
    try (Tensor x = kind.images(2);
        Tensor target = target(2);
        SGD optimizer = new SGD(network.parameters(), new SGDOptions(0.001))) {
      Runnable step = () -> TensorScope.run(() -> step(network, optimizer, x, target));
      Stream.generate(() -> step).limit(10).forEach(Runnable::run);
      System.gc();
      long before = Pointer.physicalBytes();
      Stream.generate(() -> step).limit(40).forEach(Runnable::run);
      System.gc();
      long grown = (Pointer.physicalBytes() - before) >> 20;
      assertTrue(grown < MOST_MEBIBYTES, "grew by " + grown + " MiB");
    }
  }

  @Test
  void whatANetworkCannotTakeIsOneSentence() {
    Network resNet = Kind.RESNET20.make(CLIPS);
    Network mobileNet = Kind.MOBILE_NET_V2.make(CLIPS);
    Network mlp = Kind.MLP.make(CLIPS);
    assertRefused(
        "the images have the shape [2, 1, 32, 32]: this network takes (B, 3, H, W)",
        () -> resNet.forward(torch.ones(2, 1, 32, 32)));
    assertRefused(
        "the images have the shape [2, 3, 0, 32]: this network takes (B, 3, H, W)",
        () -> resNet.forward(torch.ones(2, 3, 0, 32)));
    assertRefused(
        "the images are Byte: this network takes Float",
        () -> mobileNet.forward(torch.ones(2, 3, 32, 32).to(ScalarType.Byte)));
    assertRefused("the images: null was given", () -> mobileNet.forward(null));
    assertRefused(
        "one image of 4×3 has no variance to normalise by in training: this network needs two, or"
            + " one larger than 4×4",
        () -> resNet.forward(torch.ones(1, 3, 4, 3)));
    resNet.eval();
    assertArrayEquals(new long[] {1, 5}, resNet.forward(torch.ones(1, 3, 4, 3)).shape());
    assertRefused(
        "the samples have the shape [2, 12]: this network takes (B, 3072)",
        () -> mlp.forward(torch.ones(2, 3, 2, 2)));
    mlp.close();
    assertRefused(
        "this network was closed: make it outside of the scope that closed it",
        () -> mlp.forward(torch.ones(2, 3072)));
  }

  @Test
  void optionsOutOfRangeAreOneSentence() {
    ActivationOptions relu = ActivationOptions.relu();
    ResNetOptions.Stem stem = ResNetOptions.Stem.CIFAR;
    assertRefused(
        "the number of stages (0) must be 1 to 4",
        () -> new ResNetOptions(stem, List.of(), 16, 3, 10, relu));
    assertRefused(
        "the blocks of a stage (0) must be 1 to 200",
        () -> new ResNetOptions(stem, List.of(3, 0), 16, 3, 10, relu));
    assertRefused(
        "width (2000) must be 1 to 1024",
        () -> new ResNetOptions(stem, List.of(3), 2000, 3, 10, relu));
    assertRefused("numClasses (0) must be 1 to 1000000", () -> ResNetOptions.resnet18(3, 0));
    assertRefused(
        "widthMultiplier (NaN) must be 0.05 to 8",
        () -> new MobileNetV2Options(Double.NaN, 0, 3, 10, relu));
    assertRefused(
        "dropout (1.5) must be 0 to 1", () -> new MobileNetV2Options(1, 1.5, 3, 10, relu));
    assertRefused(
        "a hidden width (-1) must be 1 to 65536", () -> new MlpOptions(4, List.of(8, -1), 2, relu));
  }

  /** A checkpoint knows a network by its text, and files hold options as JSON. */
  @Test
  void optionsAreTextAndJson() {
    ResNetOptions options = ResNetOptions.resnet20(1, 10).with(CLIPS);
    assertEquals("ResNet of " + options, new ResNet(options).toString());
    assertEquals(options, Json.read(Json.line(options), ResNetOptions.class, "not these options"));
    MobileNetV2Options mobile = new MobileNetV2Options(3, 10);
    assertEquals(mobile, Json.read(Json.line(mobile), MobileNetV2Options.class, "not these"));
    MlpOptions mlp = new MlpOptions(4, List.of(3, 2), 2, ActivationOptions.relu());
    assertEquals(mlp, Json.read(Json.line(mlp), MlpOptions.class, "not these"));
    assertTrue(Json.line(mlp).contains("\"form\":\"NONE\""), Json.line(mlp));
  }

  private static void assertRefused(String message, Executable call) {
    ActclipException e = assertThrows(ActclipException.class, call);
    assertTrue(e.isBadInput());
    assertEquals(message, e.getMessage());
  }
}
