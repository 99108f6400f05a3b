package io.github.actclip.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Batch;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.data.TestData;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Mlp;
import io.github.actclip.nn.models.MlpOptions;
import io.github.actclip.nn.models.MobileNetV2;
import io.github.actclip.nn.models.MobileNetV2Options;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.nn.models.ResNet;
import io.github.actclip.nn.models.ResNetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Integers beside the fake-quantized network in LibTorch, in plain Java and in ONNX Runtime. */
class IntegerNetworkTest {

  private static final OnnxOptions IMAGES = OnnxOptions.of(3, 32, 32);
  private static final int SIZE = 3 * 32 * 32;
  private static final int CLASSES = 10;

  /** What computes in floats, and should not be there. */
  private static final List<String> FLOAT =
      List.of("Conv", "FusedConv", "Gemm", "FusedGemm", "Add");

  static {
    LibTorch.load();
  }

  @TempDir private Path folder;

  private Path file() {
    return folder.resolve("integers.onnx");
  }

  private static ActivationOptions bits(QuantizationMethod method, int bits) {
    return ActivationOptions.original().quantized(method, bits, bits);
  }

  private static Net net(QuantizationMethod method, int bits) {
    return OnnxTest.seeded(() -> new Net(new NetOptions(3, 32, CLASSES, bits(method, bits))));
  }

  private static IntegerNetwork integers(Network network, Dataset images, int samples) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return IntegerNetwork.of(network, images.batch(IntStream.range(0, samples).toArray()).data());
    }
  }

  private static void train(Network network, Dataset images) {
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(1)
            .batchSize(32)
            .learningRate(0.02)
            .build();
    new Trainer(network, options, Devices.of("cpu")).fit(images, TestData.first(100));
    network.eval();
  }

  /** Classes of the first test images, by LibTorch, by plain Java, and by ONNX Runtime. */
  private record Classes(int[] torch, int[] java, int[] onnx, int[] labels) {

    static int same(int[] a, int[] b) {
      return (int) IntStream.range(0, a.length).filter(i -> a[i] == b[i]).count();
    }
  }

  private Classes classes(Network network, IntegerNetwork integers, Dataset images, int count) {
    try (TensorScope scope = new TensorScope();
        OnnxModel model = new OnnxModel(file())) {
      scope.noGrad();
      Batch batch = images.batch(IntStream.range(0, count).toArray());
      double[] pixels = TensorNumbers.of(batch.data());
      int[] java =
          IntStream.range(0, count)
              .parallel()
              .map(i -> integers.classOf(floats(pixels, i * SIZE)))
              .toArray();
      float[] onnx = model.run(batch.data());
      return new Classes(
          OnnxTest.classes(TensorNumbers.of(network.forward(batch.data()))),
          java,
          OnnxTest.classes(IntStream.range(0, onnx.length).mapToDouble(i -> onnx[i]).toArray()),
          Arrays.stream(TensorNumbers.of(batch.target())).mapToInt(label -> (int) label).toArray());
    }
  }

  private static float[] floats(double[] values, int from) {
    float[] floats = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      floats[i] = (float) values[from + i];
    }
    return floats;
  }

  /**
   * A tie may fall to the other side of a step, and what Net does not quantize itself, before its
   * linear layer, has 8 bits here: a close call may end otherwise.
   */
  @ParameterizedTest
  @CsvSource({"PACT, 8, 2000", "TQT, 4, 200", "LSQ, 2, 200"})
  void netTellsTheSameClassesApart(QuantizationMethod method, int bits, int count) {
    Net net = net(method, bits);
    train(net, TestData.first(1000));
    IntegerNetwork integers = integers(net, ImageDataset.embedded(Split.TRAIN), 64);
    Onnx.export(integers, file(), IMAGES);
    Classes all = classes(net, integers, ImageDataset.embedded(Split.TEST), count);
    int others = 2 + count / 500;
    assertEquals(count, Classes.same(all.torch, all.java), others);
    assertEquals(count, Classes.same(all.torch, all.onnx), others);
    int right = Classes.same(all.labels, all.torch);
    assertEquals(right, Classes.same(all.labels, all.java), others);
    assertEquals(right, Classes.same(all.labels, all.onnx), others);
  }

  static Stream<Arguments> networks() {
    ActivationOptions four = bits(QuantizationMethod.PACT, 4);
    List<Supplier<Network>> all =
        List.of(
            () -> new Mlp(new MlpOptions(SIZE, List.of(64, 32), CLASSES, four)),
            () ->
                new ResNet(
                    new ResNetOptions(
                        ResNetOptions.Stem.CIFAR, List.of(1, 1), 8, 3, CLASSES, four)),
            () ->
                new ResNet(
                    new ResNetOptions(
                        ResNetOptions.Stem.IMAGENET, List.of(1, 1), 8, 3, CLASSES, four)),
            () -> new MobileNetV2(new MobileNetV2Options(0.25, 0, 3, CLASSES, four)));
    return all.stream().map(maker -> Arguments.of(OnnxTest.seeded(maker)));
  }

  /** On images that are normalised, whose 0 is no code of a black pixel. */
  @ParameterizedTest
  @MethodSource("networks")
  void everyModelStaysInIntegers(Network network) {
    Dataset images =
        ImageDataset.embedded(Split.TEST)
            .transformed(new Normalization(List.of(0.29, 0.29, 0.29), List.of(0.35, 0.35, 0.35)));
    OnnxTest.move(network);
    IntegerNetwork integers = integers(network, images, 64);
    Onnx.export(integers, file(), IMAGES);
    int count = 100;
    Classes all = classes(network, integers, images, count);
    assertEquals(count, Classes.same(all.java, all.onnx), 2, network.kind());
    assertEquals(count, Classes.same(all.java, all.torch), 5, network.kind());
    try (OnnxModel model = new OnnxModel(file())) {
      List<String> operations = model.optimized();
      assertTrue(Collections.disjoint(operations, FLOAT), operations.toString());
      assertFalse(operations.contains("DequantizeLinear"), operations.toString());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {13, 15, 17, 18, 19, 20, 21})
  void onnxRuntimeFusesEveryOpset(int opset) {
    IntegerNetwork integers =
        integers(net(QuantizationMethod.PACT, 4), ImageDataset.embedded(Split.TRAIN), 8);
    Onnx.export(integers, file(), IMAGES.opset(opset));
    try (OnnxModel model = new OnnxModel(file())) {
      List<String> operations = new ArrayList<>(model.optimized());
      operations.removeAll(List.of("Transpose", "Flatten"));
      assertEquals(
          List.of(
              "QuantizeLinear",
              "QLinearConv",
              "NhwcMaxPool",
              "Clip",
              "QLinearConv",
              "NhwcMaxPool",
              "QGemm"),
          operations);
    }
  }

  /** What comes of it in float32 and as bytes is the same: those are the codes. */
  @Test
  void pixelsAreCodes() {
    IntegerNetwork integers =
        integers(net(QuantizationMethod.PACT, 8), ImageDataset.embedded(Split.TRAIN), 64);
    Onnx.export(integers, file(), IMAGES.bytes(true));
    byte[] pixels = new byte[SIZE];
    float[] levels = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      pixels[i] = (byte) (31 * i + i / 7);
      levels[i] = (pixels[i] & 0xff) / 255f;
    }
    long[] expected = integers.logits(levels);
    try (OnnxModel model = new OnnxModel(file())) {
      float[] logits = model.run(pixels, 1, 3, 32, 32);
      for (int i = 0; i < CLASSES; i++) {
        assertEquals(expected[i] * integers.scale(), logits[i], 1e-4);
      }
      assertFalse(model.optimized().contains("QuantizeLinear"));
    }
  }
}
