package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Batch;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.data.TestData;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.LearningRateSchedule.Type;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.ForkedJvm;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Steps of several batches, with a limit on the gradient, and in mixed precision. */
class TrainingStepTest {

  private static final ImageDataset IMAGES = ImageDataset.embedded(Split.TEST);
  private static final ImageDataset FEW = TestData.first(200);

  /** Float32's, in sums of this size. */
  private static final double ROUNDING = 1e-5;

  static {
    LibTorch.load();
  }

  private TensorScope scope;
  private Device device;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    device = Devices.of("cpu");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static Net net() {
    return net(ActivationOptions.original());
  }

  private static Net net(ActivationOptions activation) {
    torch.manual_seed(3);
    return new Net(NetOptions.original().with(activation));
  }

  /** Plain SGD, so that a step is the gradient times the rate. */
  private static TrainerOptions.Builder plain() {
    return TrainerOptions.builder(OptimizerType.SGD)
        .epochs(1)
        .momentum(0)
        .weightDecay(0)
        .schedule(LearningRateSchedule.of(Type.CONSTANT));
  }

  /** So small a rate that no parameter moves. */
  private static TrainerOptions.Builder still() {
    return plain().learningRate(1e-30);
  }

  /** Every parameter's gradient after each of the first steps. */
  private List<Map<String, double[]>> gradients(Net net, TrainerOptions options, int steps) {
    List<Map<String, double[]>> gradients = new ArrayList<>();
    Trainer[] trainer = new Trainer[1];
    TrainingListener recorder =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            gradients.add(gradients(training.network()));
            if (gradients.size() == steps) {
              trainer[0].stop();
            }
          }
        };
    trainer[0] = new Trainer(net, options, device).with(recorder);
    trainer[0].fit(IMAGES, FEW);
    return gradients;
  }

  private List<EpochMetrics> fit(
      ImageDataset images, Net net, TrainerOptions options, TrainingListener... listeners) {
    return new Trainer(net, options, device).with(listeners).fit(images, images);
  }

  private Map<String, double[]> firstGradients(Net net, TrainerOptions options) {
    return gradients(net, options, 1).get(0);
  }

  /** An untied cut has none. */
  private static Map<String, double[]> gradients(Network net) {
    Map<String, double[]> gradients = new LinkedHashMap<>();
    StateDict.of(net)
        .forEach(
            (name, parameter) -> {
              if (parameter.grad().defined()) {
                assertEquals(ScalarType.Float, parameter.scalar_type().intern(), name);
                assertEquals(ScalarType.Float, parameter.grad().scalar_type().intern(), name);
                gradients.put(name, Fixture.values(parameter.grad()));
              }
            });
    return gradients;
  }

  /** To a part of the length of the whole gradient. */
  private static void assertClose(
      Map<String, double[]> expected, Map<String, double[]> actual, double tolerance) {
    assertEquals(expected.keySet(), actual.keySet());
    double norm = norm(expected.values());
    expected.forEach(
        (name, values) ->
            assertEquals(0, distance(values, actual.get(name)), tolerance * norm, name));
  }

  private static double distance(double[] one, double[] other) {
    assertEquals(one.length, other.length);
    double[] difference = new double[one.length];
    Arrays.setAll(difference, i -> one[i] - other[i]);
    return norm(List.of(difference));
  }

  private static double norm(Iterable<double[]> all) {
    double squares = 0;
    for (double[] values : all) {
      for (double value : values) {
        squares += value * value;
      }
    }
    return Math.sqrt(squares);
  }

  @Test
  void fourBatchesOf16HaveTheGradientOfOneOf64() {
    List<Map<String, double[]>> whole = gradients(net(), still().batchSize(64).build(), 2);
    List<Map<String, double[]>> parts =
        gradients(net(), still().batchSize(16).accumulation(4).build(), 2);
    assertClose(whole.get(0), parts.get(0), ROUNDING);
    assertClose(whole.get(1), parts.get(1), ROUNDING);
    assertTrue(distance(whole.get(0).get("conv1.weight"), whole.get(1).get("conv1.weight")) > 0.01);
  }

  @Test
  void theLastStepOfAnEpochHasTheGradientOfItsImages() {
    // 2,000 = 10·192 + 48 + 32: the last step has two batches, and the second is smaller.
    List<Map<String, double[]>> steps =
        gradients(net(), still().batchSize(48).accumulation(4).build(), 11);
    assertEquals(11, steps.size());
    // The last of 25 batches of 80 has the same images.
    List<Map<String, double[]>> whole = gradients(net(), still().batchSize(80).build(), 25);
    assertClose(whole.get(24), steps.get(10), ROUNDING);
  }

  @Test
  void stepsAndBatchesAreCountedApart() {
    List<Long> steps = new ArrayList<>();
    List<Integer> batches = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    long[] total = new long[1];
    List<EpochMetrics> epochs =
        fit(
            FEW,
            net(),
            still().epochs(2).batchSize(30).accumulation(3).build(),
            new TrainingListener() {
              @Override
              public void onStep(Training training) {
                steps.add(training.step());
                batches.add(training.batch());
                losses.add(training.stepMetrics().loss());
                total[0] = training.totalSteps();
              }
            });
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L), steps);
    assertEquals(List.of(3, 6, 7, 3, 6, 7), batches);
    assertEquals(6, total[0]);
    assertEquals(3, epochs.get(0).step());
    // Its steps have 90, 90 and 20 images.
    double mean = 0.45 * losses.get(0) + 0.45 * losses.get(1) + 0.1 * losses.get(2);
    assertEquals(mean, epochs.get(0).trainLoss(), 1e-5);
  }

  @Test
  void aLongGradientIsShortenedWithTheThresholdsInIt() {
    Map<String, double[]> free = firstGradients(net(), still().build());
    double norm = norm(free.values());
    Map<String, double[]> limited = firstGradients(net(), still().maxGradNorm(norm / 8).build());
    assertEquals(norm / 8, norm(limited.values()), ROUNDING * norm);
    assertEquals(free.get("act_max")[0] / 8, limited.get("act_max")[0], ROUNDING * norm);
    assertNotEquals(0, limited.get("act_max")[0]);
    free.replaceAll((name, values) -> Arrays.stream(values).map(v -> v / 8).toArray());
    assertClose(free, limited, ROUNDING);
  }

  @Test
  void aShortGradientIsLeftAlone() {
    Map<String, double[]> free = firstGradients(net(), still().build());
    double limit = 2 * norm(free.values());
    Map<String, double[]> limited = firstGradients(net(), still().maxGradNorm(limit).build());
    free.forEach((name, values) -> assertArrayEquals(values, limited.get(name), name));
  }

  static Stream<ActivationOptions> activations() {
    return Stream.concat(
        Stream.of(ClipForm.values())
            .filter(form -> form != ClipForm.IN_PLACE)
            .map(form -> ActivationOptions.clip(new ClipOptions(form))),
        Stream.of(QuantizationMethod.values())
            .map(method -> ActivationOptions.original().quantized(method, 4, 4)));
  }

  /**
   * Whatever clips, what is learned is float32, and so is its gradient. Bfloat16 has 8 bits: each
   * product is off by up to 1/256, and errors of layers add up.
   */
  @ParameterizedTest
  @MethodSource("activations")
  void gradientsInBfloat16AreNearThoseInFloat32(ActivationOptions activation) {
    Map<String, double[]> full = firstGradients(net(activation), still().build());
    Map<String, double[]> half =
        firstGradients(net(activation), still().precision(Precision.BFLOAT16).build());
    assertClose(full, half, 0.04);
    assertNotEquals(0, distance(full.get("conv1.weight"), half.get("conv1.weight")));
  }

  /** 400,000 addends: a sum in bfloat16 would stop growing at 256 times an addend. */
  @Test
  void theThresholdsGradientIsSummedInFloat32() {
    double full = firstGradients(net(), still().build()).get("act_max")[0];
    double half =
        firstGradients(net(), still().precision(Precision.BFLOAT16).build()).get("act_max")[0];
    assertEquals(full, half, 0.01 * Math.abs(full));
  }

  @Test
  void autocastComputesInBfloat16AndGoesBack() {
    Net net = net();
    Tensor images = torch.rand(4, 3, 32, 32);
    Tensor logits = Autocast.run(device, ScalarType.BFloat16, () -> net.forward(images));
    assertEquals(ScalarType.BFloat16, logits.scalar_type().intern());
    assertEquals(ScalarType.Float, net.forward(images).scalar_type().intern());
  }

  /** Another seed moves the accuracy by 0.03. */
  @Test
  void bfloat16ReachesTheAccuracyOfFloat32() {
    TrainerOptions.Builder options = TrainerOptions.builder(OptimizerType.SGD).epochs(3);
    EpochMetrics full = fit(IMAGES, net(), options.build()).get(2);
    EpochMetrics half = fit(IMAGES, net(), options.precision(Precision.BFLOAT16).build()).get(2);
    double accuracy = full.test().get("accuracy");
    assertTrue(accuracy > 0.75, "accuracy " + accuracy);
    assertEquals(accuracy, half.test().get("accuracy"), 0.03);
    assertEquals(threshold(full), threshold(half), 0.1);
  }

  private static double threshold(EpochMetrics epoch) {
    return epoch.thresholds().get("act_max").threshold();
  }

  @Test
  void trainsAndTestsOnWhatTransformsMakeOfTheData() {
    TrainerOptions options = plain().epochs(1).learningRate(1e-30).batchSize(200).build();
    Normalization normalization = Normalization.of(FEW);
    Dataset train = FEW.transformed(new Augmentation(4, true), normalization);
    Dataset test = FEW.transformed(normalization);
    Net net = net();
    EpochMetrics epoch = new Trainer(net, options, device).fit(train, test).get(0);
    Batch seen = options.loader(train, device).epoch(0).iterator().next();
    double loss = torch.cross_entropy_loss(net.forward(seen.data()), seen.target()).item_double();
    assertEquals(loss, epoch.trainLoss(), ROUNDING * loss);
    assertEquals(Evaluator.evaluate(net, test, device).loss(), epoch.testLoss());
    assertNotEquals(Evaluator.evaluate(net, FEW, device).loss(), epoch.testLoss());
  }

  @Test
  void nativeMemoryStaysFlat() throws IOException, InterruptedException {
    String output =
        ForkedJvm.start(MemoryProbe.class, List.of(), Map.of(), ForkedJvm.FIXED_HEAP).awaitOutput();
    String last = output.lines().reduce((one, next) -> next).orElseThrow();
    assertTrue(last.startsWith("grew by "), output);
    // 18 and 27 were seen; with 6 MB an epoch that waited for the garbage collector, 120 and 135.
    assertTrue(Long.parseLong(last.substring("grew by ".length())) < 60, last);
  }
}
