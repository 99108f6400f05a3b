package io.github.actclip.train;

import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Cuda;
import io.github.actclip.testing.Fixture;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Where there is a GPU: trainings there end where those on the CPU do. */
class TrainingOnCudaTest {

  private static final ImageDataset IMAGES = ImageDataset.embedded(Split.TEST);

  /** Float32's, in sums of this size. */
  private static final double ROUNDING = 1e-4;

  static {
    LibTorch.load();
  }

  @TempDir Path folder;
  private TensorScope scope;
  private Device cuda;
  private Device cpu;

  @BeforeEach
  void open() {
    Cuda.assumeAvailable();
    scope = new TensorScope();
    cuda = Devices.of("cuda");
    cpu = Devices.of("cpu");
  }

  @AfterEach
  void close() {
    if (scope != null) {
      scope.close();
    }
  }

  private static Net net() {
    torch.manual_seed(3);
    return new Net();
  }

  private static TrainerOptions.Builder options(int epochs) {
    return TrainerOptions.builder(OptimizerType.SGD).epochs(epochs).seed(5);
  }

  @Test
  void aNetHasTheGradientsThatItHasOnTheCpu() {
    Map<String, double[]> expected = lossAndGradients(cpu);
    Map<String, double[]> actual = lossAndGradients(cuda);
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach((name, values) -> assertClose(values, actual.get(name), name));
  }

  private static Map<String, double[]> lossAndGradients(Device device) {
    // By default, GPUs convolve float32 in TF32, with 10 bits of precision.
    boolean tf32 = torch.globalContext().allowTF32CuDNN();
    torch.globalContext().setAllowTF32CuDNN(false);
    try {
      return lossAndGradientsInFloat32(device);
    } finally {
      torch.globalContext().setAllowTF32CuDNN(tf32);
    }
  }

  private static Map<String, double[]> lossAndGradientsInFloat32(Device device) {
    Map<String, double[]> result = new HashMap<>();
    TensorScope.run(
        () -> {
          Net net = net();
          net.to(device, false);
          try (BatchIterator batches = options(1).build().loader(IMAGES, device).iterator()) {
            Batch batch = batches.next();
            Tensor loss = cross_entropy_loss(net.forward(batch.data()), batch.target());
            loss.backward();
            result.put("loss", Fixture.values(loss));
          }
          StateDict.of(net)
              .forEach((name, tensor) -> result.put(name, Fixture.values(tensor.grad())));
        });
    return result;
  }

  private static void assertClose(double[] expected, double[] actual, String name) {
    double distance = 0;
    double length = 0;
    for (int i = 0; i < expected.length; i++) {
      distance += Math.pow(expected[i] - actual[i], 2);
      length += Math.pow(expected[i], 2);
    }
    assertTrue(
        Math.sqrt(distance) <= ROUNDING * Math.sqrt(length),
        name + ": relative distance " + Math.sqrt(distance / length));
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void learnsAsOnTheCpu(Precision precision) {
    EpochMetrics expected = fit(options(3).build(), cpu);
    EpochMetrics actual = fit(options(3).precision(precision).build(), cuda);
    assertSame(expected, actual);
  }

  private static EpochMetrics fit(TrainerOptions options, Device device) {
    return last(new Trainer(net(), options, device).fit(IMAGES, IMAGES));
  }

  private static EpochMetrics last(List<EpochMetrics> epochs) {
    return epochs.get(epochs.size() - 1);
  }

  private static void assertSame(EpochMetrics expected, EpochMetrics actual) {
    String both = expected + " and " + actual;
    assertEquals(expected.testLoss(), actual.testLoss(), 0.1, both);
    assertEquals(expected.test().get("accuracy"), actual.test().get("accuracy"), 0.05, both);
    assertEquals(threshold(expected), threshold(actual), 0.05, both);
  }

  private static double threshold(EpochMetrics epoch) {
    return epoch.thresholds().get("act_max").threshold();
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "cuda"})
  void goesOnFromACheckpointOnEitherDevice(String from) {
    TrainerOptions options = options(3).precision(Precision.BFLOAT16).build();
    try (Checkpointer checkpointer = new Checkpointer(folder, CheckpointOptions.defaults())) {
      new Trainer(net(), options, Devices.of(from))
          .with(ShortTraining.stopAfter(7), checkpointer)
          .fit(IMAGES, IMAGES);
    }
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    assertEquals(7, checkpoint.step());
    EpochMetrics expected = fit(options, cuda);
    for (Device device : new Device[] {cuda, cpu}) {
      Trainer again = new Trainer(net(), options, device);
      assertSame(expected, last(again.resume(checkpoint::restore, IMAGES, IMAGES)));
    }
  }
}
