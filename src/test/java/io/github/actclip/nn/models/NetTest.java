package io.github.actclip.nn.models;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Clip;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The network against Python's, by {@code src/test/python/make_net_fixture.py}. */
class NetTest {

  /** One float32 rounding: the same numbers are drawn, but another vector unit may draw them. */
  private static final double DRAWN = 2e-7;

  /** Sums in another order: convolutions and gradients. */
  private static final double SUMMED = 2e-5;

  /** The same after 20 steps, each of which builds on the one before. */
  private static final double TRAINED = 5e-4;

  private static final Fixture FIXTURE = Fixture.load("net");
  private static final List<String> NAMES =
      List.of(
          "act_max",
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
  private Net net;
  private Tensor images;
  private Tensor labels;

  /** Tensors that are made there cannot be saved for backward, and need not be. */
  @Test
  void runsInInferenceMode() {
    Tensor many = torch.randn(100_000);
    Tensor t = Tensor.create(0.5f).requires_grad_(true);
    Tensor clipped = Clip.relu(many, t);
    Tensor logits = net.forward(images);
    InferenceMode guard = new InferenceMode();
    try (guard) {
      assertTrue(torch.equal(clipped, Clip.relu(many.clone(), t)));
      assertTrue(torch.equal(logits, net.forward(images)));
    }
  }

  @BeforeEach
  void startAsPythonDid() {
    scope = new TensorScope();
    torch.manual_seed(FIXTURE.at("seed").asLong());
    net = new Net();
    long batch = FIXTURE.at("batch").asLong();
    images = torch.randn(batch, 3, 32, 32);
    labels = torch.randint(0, 10, new long[] {batch}, new TensorOptions(ScalarType.Long));
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void sameSeedSameWeightsSameImages() {
    assertParameters("initial", DRAWN);
    FIXTURE.assertTensor("images", images, DRAWN);
    assertArrayEquals(FIXTURE.doubles("labels"), Fixture.values(labels));
  }

  @Test
  void namesAndOrderAreTheStateDictsOfPython() {
    assertEquals(NAMES, new ArrayList<>(StateDict.of(net).keySet()));
    long values = StateDict.of(net).values().stream().mapToLong(Tensor::numel).sum();
    assertEquals(69_707, values);
    assertEquals(values - 32 - 64 - 10 - 1, net.options().weightCount());
  }

  @Test
  void forwardAndLoss() {
    Tensor logits = net.forward(images);
    FIXTURE.assertTensor("logits", logits, SUMMED);
    double expected = FIXTURE.at("loss").asDouble();
    assertEquals(expected, cross_entropy_loss(logits, labels).item_double(), SUMMED * expected);
  }

  @Test
  void everyGradient() {
    cross_entropy_loss(net.forward(images), labels).backward();
    StateDict.of(net)
        .forEach((name, value) -> FIXTURE.assertTensor("gradients/" + name, value.grad(), SUMMED));
  }

  @Test
  void aChannelsLastInputGivesTheSame() {
    Tensor expected = net.forward(images);
    Tensor actual = net.forward(images.contiguous(Net.MEMORY_FORMAT));
    assertArrayEquals(Fixture.values(expected), Fixture.values(actual));
  }

  @Test
  void twentyStepsOfSgd() {
    assertTraining("sgd", parameters -> new SGD(parameters, new SGDOptions(0.01)));
  }

  @Test
  void twentyStepsOfSgdWithMomentum() {
    SGDOptions options = new SGDOptions(0.01);
    options.momentum().put(0.9);
    options.nesterov().put(true);
    options.weight_decay().put(5e-4);
    assertTraining("sgd_momentum", parameters -> new SGD(parameters, options));
  }

  @Test
  void twentyStepsOfAdamW() {
    AdamWOptions options = new AdamWOptions(1e-3);
    options.weight_decay().put(0.01);
    assertTraining("adamw", parameters -> new AdamW(parameters, options));
  }

  @Test
  void theOptimizerAloneMovesActMaxAndTheOldManualStepWouldMoveItTwice() {
    double rate = 0.001;
    SGD optimizer = new SGD(net.parameters(), new SGDOptions(rate));
    float before = net.actMax().item_float();
    cross_entropy_loss(net.forward(images), labels).backward();
    float gradient = net.actMax().grad().item_float();
    optimizer.step();
    float moved = net.actMax().item_float() - before;
    assertEquals(-rate * gradient, moved, 1e-7);
    assertTrue(Math.abs(moved) > 1e-4, "it moved by " + moved);

    scope.noGrad();
    net.actMax().sub_(net.actMax().grad().mul(new Scalar(rate)));
    assertEquals(2 * moved, net.actMax().item_float() - before, 2e-7);
  }

  @Test
  void nativeMemoryStaysFlat() {
    SGD optimizer = new SGD(net.parameters(), new SGDOptions(0.001));
    train(optimizer, 100);
    long before = Pointer.physicalBytes();
    train(optimizer, 500);
    long grown = Pointer.physicalBytes() - before;
    // 500 leaked batches of activations would be over 1 GB.
    assertTrue(grown < 40L << 20, "grew by " + (grown >> 20) + " MiB");
  }

  @ParameterizedTest
  @CsvSource({"1, 28, 10, 1024", "3, 16, 2, 64", "4, 33, 100, 1600"})
  void otherShapes(int channels, int size, int classes, long flattened) {
    Net other = new Net(new NetOptions(channels, size, classes));
    assertArrayEquals(
        new long[] {classes, flattened}, StateDict.of(other).get("linear.weight").shape());
    Tensor logits = other.forward(torch.randn(2, channels, size, size));
    assertArrayEquals(new long[] {2, classes}, logits.shape());
  }

  @Test
  void optionsOutOfRangeAreOneSentence() {
    assertRefused("inChannels (0) must be 1 to 4096", () -> new NetOptions(0, 32, 10));
    assertRefused("imageSize (15) must be 16 to 4096", () -> new NetOptions(3, 15, 10));
    assertRefused("numClasses (-1) must be 1 to 1000000", () -> new NetOptions(3, 32, -1));
  }

  @Test
  void aClosedNetworkIsOneSentenceAndItsThresholdStaysSafe() {
    Tensor threshold = net.actMax();
    Net closedByScope;
    try (TensorScope inner = new TensorScope()) {
      closedByScope = new Net();
      inner.noGrad();
    }
    net.close();
    String sentence = "this network was closed: make it outside of the scope that closed it";
    assertRefused(sentence, () -> net.forward(images));
    assertRefused(sentence, () -> closedByScope.forward(images));
    assertEquals(1, threshold.item_float());
  }

  @ParameterizedTest
  @ValueSource(strings = {"3,32,32", "2,1,32,32", "2,3,28,28", "2,3,32,33", ""})
  void imagesOfAnotherShapeAreOneSentence(String text) {
    long[] shape =
        Arrays.stream(text.split(","))
            .filter(s -> !s.isEmpty())
            .mapToLong(Long::parseLong)
            .toArray();
    Tensor wrong = torch.zeros(shape);
    assertRefused(
        "the images have the shape "
            + Arrays.toString(shape)
            + ": this network takes (B, 3, 32, 32)",
        () -> net.forward(wrong));
  }

  @Test
  void imagesOfAnotherTypeAreOneSentence() {
    assertRefused(
        "the images are Double: this network takes Float",
        () -> net.forward(images.to(ScalarType.Double)));
    assertRefused(
        "the images have the shape [0]: this network takes (B, 3, 32, 32)",
        () -> net.forward(new Tensor()));
  }

  @Test
  void aNetworkThatWasMovedToFloat64WorksInIt() {
    Net net = new Net();
    Tensor images = torch.randn(2, 3, 32, 32);
    double[] expected = Fixture.values(net.forward(images));
    net.to(ScalarType.Double, false);
    Tensor logits = net.forward(images.to(ScalarType.Double));
    assertEquals(ScalarType.Double, logits.scalar_type().intern());
    assertArrayEquals(expected, Fixture.values(logits), 1e-4);
    logits.sum().backward();
    assertEquals(ScalarType.Double, net.actMax().grad().scalar_type().intern());
    assertRefused("the images are Float: this network takes Double", () -> net.forward(images));
  }

  private void assertTraining(String name, Function<TensorVector, Optimizer> makeOptimizer) {
    Optimizer optimizer = makeOptimizer.apply(net.parameters());
    double[] losses = FIXTURE.doubles(name + "/losses");
    for (int i = 0; i < losses.length; i++) {
      optimizer.zero_grad();
      Tensor loss = cross_entropy_loss(net.forward(images), labels);
      assertEquals(losses[i], loss.item_double(), TRAINED * losses[0], "loss of step " + i);
      loss.backward();
      optimizer.step();
    }
    assertParameters(name + "/parameters", TRAINED);
  }

  private void train(Optimizer optimizer, int steps) {
    for (int i = 0; i < steps; i++) {
      TensorScope.run(
          () -> {
            optimizer.zero_grad();
            cross_entropy_loss(net.forward(images), labels).backward();
            optimizer.step();
          });
    }
  }

  private void assertParameters(String path, double tolerance) {
    for (Map.Entry<String, Tensor> entry : StateDict.of(net).entrySet()) {
      FIXTURE.assertTensor(path + "/" + entry.getKey(), entry.getValue(), tolerance);
    }
  }

  private static void assertRefused(String sentence, Executable executable) {
    ActclipException e = assertThrows(ActclipException.class, executable);
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
