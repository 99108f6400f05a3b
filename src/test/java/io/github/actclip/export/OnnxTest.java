package io.github.actclip.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.Threshold;
import io.github.actclip.nn.models.Mlp;
import io.github.actclip.nn.models.MlpOptions;
import io.github.actclip.nn.models.MobileNetV2;
import io.github.actclip.nn.models.MobileNetV2Options;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.nn.models.ResNet;
import io.github.actclip.nn.models.ResNetOptions;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What ONNX Runtime makes of an exported network, beside what LibTorch makes of the network. */
class OnnxTest {

  private static final Path FASHION_MNIST = Path.of("/usr/share/datasets/fashion-mnist");

  /** Of the largest logit: both add in float32, in orders of their own. */
  private static final double TOLERANCE = 1e-5;

  private static final ActivationOptions IN_PLACE =
      ActivationOptions.clip(new ClipOptions(ClipForm.IN_PLACE));

  private static final OnnxOptions IMAGES = OnnxOptions.of(3, 32, 32);

  static {
    LibTorch.load();
  }

  @TempDir private Path folder;

  private Path file() {
    return folder.resolve("model.onnx");
  }

  /** All images where they are installed, as in CI; else those that come with the library. */
  static Dataset images() {
    return Files.exists(FASHION_MNIST)
        ? ImageDataset.load(FASHION_MNIST, Split.TEST)
        : ImageDataset.embedded(Split.TEST);
  }

  @Test
  void netTellsTheSameClassesApartOnAllTestImages() {
    Net net = seeded(() -> new Net());
    Onnx.export(net, file(), IMAGES);
    assertSame(net, images(), images().size());
  }

  static Stream<Network> networks() {
    ActivationOptions clips = ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(2));
    ResNetOptions resNet =
        new ResNetOptions(ResNetOptions.Stem.CIFAR, List.of(3, 3, 3), 16, 3, 10, clips);
    ResNetOptions imageNet =
        new ResNetOptions(
            ResNetOptions.Stem.IMAGENET, List.of(1, 1), 8, 3, 10, clips.perChannel(true));
    MobileNetV2Options mobile = new MobileNetV2Options(0.25, 0.2, 3, 10, clips);
    return Stream.<Supplier<Network>>of(
            () -> new Mlp(new MlpOptions(3072, List.of(64, 32), 10, clips.perChannel(true))),
            () -> new ResNet(resNet),
            () -> new ResNet(imageNet),
            () -> new MobileNetV2(mobile))
        .map(OnnxTest::seeded);
  }

  @ParameterizedTest
  @MethodSource("networks")
  void everyModelComputesTheSame(Network network) {
    move(network);
    Onnx.export(network, file(), IMAGES);
    assertSame(network, ImageDataset.embedded(Split.TEST), 64);
    assertFalse(OnnxModel.operations(file()).contains("BatchNormalization"));
  }

  static Stream<ActivationOptions> ways() {
    Stream<ActivationOptions> clips =
        Stream.of(ClipForm.values()).map(form -> ActivationOptions.clip(new ClipOptions(form)));
    Stream<ActivationOptions> quantizers =
        Stream.of(QuantizationMethod.values())
            .map(method -> ActivationOptions.original().quantized(method, 4, 4));
    return Stream.concat(clips, quantizers)
        .flatMap(way -> Stream.of(way, way.perChannel(true)))
        .filter(way -> !way.equals(IN_PLACE.perChannel(true))); // which has one threshold only
  }

  @ParameterizedTest
  @MethodSource("ways")
  void everyWayToClipComputesTheSame(ActivationOptions way) {
    Network network = seeded(() -> new Net(new NetOptions(3, 16, 10, way)));
    moveThresholds(network);
    Onnx.export(network, file(), OnnxOptions.of(3, 16, 16));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      assertSame(network, torch.rand(32, 3, 16, 16).mul(new Scalar(3)));
    }
  }

  @Test
  void reluAndClipAreOneOperation() {
    Net net = seeded(() -> new Net());
    Onnx.export(net, file(), IMAGES);
    assertEquals(
        List.of("Conv", "MaxPool", "Clip", "Conv", "MaxPool", "Relu", "Flatten", "Gemm"),
        OnnxModel.operations(file()));
  }

  @Test
  void pixelsAreNormalisedInTheModel() {
    Normalization normalization =
        new Normalization(List.of(0.25, 0.5, 0.75), List.of(0.125, 0.25, 0.5));
    Net net = seeded(() -> new Net());
    Onnx.export(net, file(), IMAGES.normalization(normalization).bytes(true));
    byte[] bytes = new byte[2 * 3072];
    IntStream.range(0, bytes.length).forEach(i -> bytes[i] = (byte) (31 * i + i / 7));
    try (TensorScope scope = new TensorScope();
        OnnxModel model = new OnnxModel(file())) {
      scope.noGrad();
      float[] levels = new float[bytes.length];
      IntStream.range(0, bytes.length).forEach(i -> levels[i] = (bytes[i] & 0xff) / 255f);
      Tensor x = torch.tensor(levels).view(2, 3, 32, 32);
      double[] expected = TensorNumbers.of(net.forward(normalization.apply(x, new long[2])));
      assertClose(expected, model.run(bytes, 2, 3, 32, 32));
    }
  }

  @Test
  void notesAreInTheFile() {
    Onnx.export(
        seeded(() -> new Net()), file(), IMAGES.classes(List.of("a \"b\"", "ç")).note("who", "me"));
    try (OnnxModel model = new OnnxModel(file())) {
      assertEquals(Map.of("classes", "[\"a \\\"b\\\"\",\"ç\"]", "who", "me"), model.notes());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {13, 15, 18, 19, 21})
  void everyOpsetRuns(int opset) {
    Net net = seeded(() -> new Net());
    Onnx.export(net, file(), IMAGES.opset(opset));
    assertSame(net, ImageDataset.embedded(Split.TEST), 8);
  }

  @Test
  void exportLeavesTheNetworkInItsMode() {
    Net net = seeded(() -> new Net());
    net.eval();
    Onnx.export(net, file(), IMAGES);
    assertFalse(net.is_training());
    net.train(true);
    Onnx.export(net, file(), IMAGES);
    assertTrue(net.is_training());
  }

  static <N extends Network> N seeded(Supplier<N> maker) {
    torch.manual_seed(3);
    return maker.get();
  }

  /** Thresholds of their own for all channels, and scales that clip. */
  private static void moveThresholds(Network network) {
    TensorScope.run(
        () -> {
          for (Threshold threshold : network.thresholds().values()) {
            Tensor parameter = threshold.parameter();
            Tensor factor = torch.rand_like(parameter.detach()).add(new Scalar(0.5));
            parameter.set_data(parameter.detach().mul(factor));
          }
        });
  }

  /** Running statistics that are none of a new network's. */
  static void move(Network network) {
    moveThresholds(network);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      for (int i = 0; i < 5; i++) {
        network.forward(torch.rand(16, 3, 32, 32));
      }
    }
    network.eval();
  }

  private void assertSame(Network network, Dataset images, int count) {
    int left = count;
    try (OnnxModel model = new OnnxModel(file())) {
      for (Batch batch : DataLoader.sequential(images, Math.min(count, 500), Devices.of("cpu"))) {
        if (left > 0) {
          assertSame(network, model, batch.data());
        }
        left -= 500;
      }
    }
  }

  private void assertSame(Network network, Tensor x) {
    try (OnnxModel model = new OnnxModel(file())) {
      assertSame(network, model, x);
    }
  }

  private static void assertSame(Network network, OnnxModel model, Tensor x) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      assertClose(TensorNumbers.of(network.forward(x)), model.run(x));
    }
  }

  private static void assertClose(double[] expected, float[] actual) {
    double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
    double[] numbers = IntStream.range(0, actual.length).mapToDouble(i -> actual[i]).toArray();
    assertArrayEquals(expected, numbers, TOLERANCE * largest);
    assertArrayEquals(classes(expected), classes(numbers));
  }

  /** Of ten logits each. */
  static int[] classes(double[] logits) {
    return IntStream.range(0, logits.length / 10)
        .map(
            i ->
                IntStream.range(0, 10)
                    .reduce((a, b) -> logits[10 * i + b] > logits[10 * i + a] ? b : a)
                    .orElseThrow())
        .toArray();
  }
}
