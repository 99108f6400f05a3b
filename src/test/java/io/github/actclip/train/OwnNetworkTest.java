package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.TensorDataset;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.ForkedJvm;
import io.github.actclip.testing.OwnNetwork;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/** Networks of one's own are trained as PyTorch trains them, and in flat memory. */
class OwnNetworkTest {

  private static final Path WEIGHTS = Path.of("src/test/resources/fixtures/networks");
  private static final Fixture FIXTURE = Fixture.load("networks/networks");

  /** Relative to the largest number of a tensor, after 12 steps in float32. */
  private static final double TOLERANCE = 2e-5;

  /** A tensor of 4 KiB that stays behind in each of 2,000 steps would be 8. */
  private static final int MOST_MEBIBYTES = 6;

  private static final long TIMEOUT_SECONDS = 120;

  static {
    LibTorch.load();
  }

  @ParameterizedTest
  @EnumSource(
      value = OwnNetwork.class,
      mode = Mode.MATCH_NONE,
      names = {"QUANTIZED.*", "RESNET", "SCRIPTED"})
  void isTrainedAsPythonTrainsIt(OwnNetwork kind) {
    Network network = kind.make();
    TensorScope.run(() -> StateDict.load(network, read(kind, "start")));
    double[] expected = FIXTURE.doubles(kind.fixture + "/losses");
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(expected.length) // of one step
            .learningRate(0.05)
            .weightDecay(0)
            .schedule(LearningRateSchedule.of(LearningRateSchedule.Type.CONSTANT))
            .build();
    try (TensorDataset data = data(kind)) {
      List<EpochMetrics> epochs =
          new Trainer(network, options, Devices.of("cpu"))
              .loss(kind.loss, kind.metric)
              .fit(data, data);
      double[] losses = epochs.stream().mapToDouble(EpochMetrics::trainLoss).toArray();
      assertArrayEquals(expected, losses, TOLERANCE * expected[0]);
    }
    TensorScope.run(() -> assertEnd(kind, network));
  }

  @ParameterizedTest
  @EnumSource(
      value = OwnNetwork.class,
      mode = Mode.EXCLUDE,
      names = "RESNET") // whose 2,500 steps take long; ModelsTest looks at its memory
  void nativeMemoryStaysFlat(OwnNetwork kind) throws IOException, InterruptedException {
    String output =
        ForkedJvm.start(
                OwnNetworkMemoryProbe.class,
                List.of(),
                Map.of(),
                ForkedJvm.FIXED_HEAP,
                TIMEOUT_SECONDS,
                kind.name())
            .awaitOutput();
    String last = output.lines().reduce((one, next) -> next).orElseThrow();
    assertTrue(last.startsWith("grew by "), output);
    assertTrue(Long.parseLong(last.substring("grew by ".length())) < MOST_MEBIBYTES, last);
  }

  private static void assertEnd(OwnNetwork kind, Network network) {
    Map<String, Tensor> expected = read(kind, "end");
    Map<String, Tensor> actual = StateDict.of(network);
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, tensor) -> assertClose(name, tensor, actual.get(name)));
    network.eval();
    Tensor output = network.forward(tensor(kind, "data", ScalarType.Float));
    assertClose("output", tensor(kind, "output", ScalarType.Float), output);
  }

  private static void assertClose(String name, Tensor expected, Tensor actual) {
    double[] numbers = TensorNumbers.of(expected);
    double largest = Arrays.stream(numbers).map(Math::abs).max().orElseThrow();
    assertArrayEquals(numbers, TensorNumbers.of(actual), TOLERANCE * largest, name);
  }

  private static Map<String, Tensor> read(OwnNetwork kind, String when) {
    return StateDict.read(WEIGHTS.resolve(kind.fixture + "-" + when + ".pt"));
  }

  private static TensorDataset data(OwnNetwork kind) {
    boolean classifies = kind != OwnNetwork.MLP;
    return new TensorDataset(
        kind.fixture,
        tensor(kind, "data", ScalarType.Float),
        tensor(kind, "target", classifies ? ScalarType.Long : ScalarType.Float));
  }

  private static Tensor tensor(OwnNetwork kind, String what, ScalarType type) {
    return FIXTURE.tensor(kind.fixture + "/" + what).to(type);
  }
}
