package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.protobuf.UnknownFieldSet;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.OwnNetwork;
import io.github.actclip.testing.SmallTraining;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.ShortTraining;
import io.github.actclip.train.StepMetrics;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardListenerTest {

  static {
    LibTorch.load();
  }

  @TempDir Path folder;
  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void theScalarsAreThoseOfTheStepsAndOfTheEpochs() throws IOException {
    List<EpochMetrics> epochs;
    try (StepLog log = new StepLog(folder);
        TensorBoardListener board = new TensorBoardListener(folder)) {
      epochs = ShortTraining.fit(2, log, board);
    }
    List<UnknownFieldSet> events = events(files().get(0));
    assertSteps("loss/step", StepMetrics::loss, events);
    assertSteps("learning_rate", StepMetrics::learningRate, events);
    assertSteps("threshold/act_max", m -> m.thresholds().get("act_max").get(0), events);
    assertSteps("threshold_gradient/act_max", m -> m.gradients().get("act_max").get(0), events);
    assertEpochs("loss/train", EpochMetrics::trainLoss, epochs, events);
    assertEpochs("loss/test", EpochMetrics::testLoss, epochs, events);
    assertEpochs("accuracy/train", m -> m.train().get("accuracy"), epochs, events);
    assertEpochs("accuracy/test", m -> m.test().get("accuracy"), epochs, events);
    assertEpochs("clip_rate", m -> m.thresholds().get("act_max").clipRate(), epochs, events);
    assertEpochs("samples_per_second", EpochMetrics::samplesPerSecond, epochs, events);
  }

  private void assertSteps(
      String tag, ToDoubleFunction<StepMetrics> value, List<UnknownFieldSet> events) {
    Map<Long, Float> expected = new LinkedHashMap<>();
    StepLog.read(folder).forEach(m -> expected.put(m.step(), (float) value.applyAsDouble(m)));
    assertEquals(5, expected.size());
    assertEquals(expected, EventRecords.scalars(events, tag), tag);
  }

  private static void assertEpochs(
      String tag,
      ToDoubleFunction<EpochMetrics> value,
      List<EpochMetrics> epochs,
      List<UnknownFieldSet> events) {
    Map<Long, Float> expected = new LinkedHashMap<>();
    epochs.forEach(m -> expected.put(m.step(), (float) value.applyAsDouble(m)));
    assertEquals(2, expected.size());
    assertEquals(expected, EventRecords.scalars(events, tag), tag);
  }

  @Test
  void theHistogramsCountActivationsAndEveryElementOfEveryParameter() throws IOException {
    ClipOptions perChannel = new ClipOptions(ClipForm.TIED).perChannel(32, 1);
    Net net = new Net(NetOptions.original(), new Clip(perChannel));
    List<EpochMetrics> epochs;
    try (TensorBoardListener board = new TensorBoardListener(folder)) {
      epochs = ShortTraining.fit(net, ShortTraining.options(1, 0.05), board);
    }
    List<UnknownFieldSet> events = events(files().get(0));
    double[] activations = EventRecords.counts(events, "activations").get(16L);
    assertEquals(0, activations[0]);
    assertArrayEquals(
        epochs.get(0).thresholds().get("act_max").histogram().stream()
            .mapToDouble(Long::doubleValue)
            .toArray(),
        Arrays.copyOfRange(activations, 1, activations.length));
    Map<String, Integer> elements =
        Map.of(
            "act_max",
            32,
            "conv1.weight",
            2400,
            "conv1.bias",
            32,
            "conv2.weight",
            51200,
            "conv2.bias",
            64,
            "linear.weight",
            16000,
            "linear.bias",
            10);
    elements.forEach(
        (name, count) -> {
          double[] counts = EventRecords.counts(events, "parameters/" + name).get(16L);
          assertEquals((double) count, Arrays.stream(counts).sum(), name);
        });
  }

  /** A network with two layers that clip. */
  private static final class Two extends Network {
    private final LinearImpl linear = register("linear", new LinearImpl(4, 1));
    private final Clip first = register("first", new Clip(new ClipOptions(ClipForm.RELU)));
    private final Clip second = register("second", new Clip(new ClipOptions(ClipForm.RELU)));

    @Override
    public Tensor forward(Tensor x) {
      return linear.forward(second.forward(first.forward(x)));
    }
  }

  @Test
  void ofSeveralLayersEachHasItsName() throws IOException {
    List<EpochMetrics> epochs;
    try (TensorBoardListener board = new TensorBoardListener(folder);
        SmallTraining training = new SmallTraining(OwnNetwork.MLP)) {
      epochs = training.trainer(new Two()).with(board).fit(training.data(), training.data());
    }
    List<UnknownFieldSet> events = events(files().get(0));
    for (String name : List.of("first.max", "second.max")) {
      Map<Long, Float> rates = new LinkedHashMap<>();
      epochs.forEach(m -> rates.put(m.step(), (float) m.thresholds().get(name).clipRate()));
      assertEquals(rates, EventRecords.scalars(events, "clip_rate/" + name));
      assertEquals(3, EventRecords.counts(events, "activations/" + name).size());
    }
    assertEquals(3, EventRecords.scalars(events, "mae/test").size());
    assertEquals(Map.of(), EventRecords.scalars(events, "clip_rate"));
  }

  @Test
  void aTrainingThatGoesOnGetsAFileThatVoidsTheStepsDoneAgain() throws IOException {
    try (TensorBoardListener board = new TensorBoardListener(folder)) {
      ShortTraining.fit(1, board);
    }
    try (TensorBoardListener board = new TensorBoardListener(folder)) {
      ShortTraining.fit(1, ShortTraining.from(12, board));
    }
    List<Path> files = files();
    assertEquals(2, files.size());
    List<UnknownFieldSet> first = events(files.get(0));
    List<UnknownFieldSet> second = events(files.get(1));
    assertEquals(1, EventRecords.step(first.get(1)));
    UnknownFieldSet start = second.get(1);
    assertEquals(13, EventRecords.step(start)); // 12 is not done again
    assertEquals(List.of(1L), EventRecords.part(start, 7).getField(1).getVarintList());
    Map<Long, Float> again = EventRecords.scalars(second, "loss/step");
    assertEquals(
        Map.of(16L, EventRecords.scalars(first, "loss/step").get(16L)), again, again.toString());
  }

  @Test
  void fileHandlesAndNativeMemoryStayFlat() throws IOException {
    assumeTrue(Files.isDirectory(Path.of("/proc/self/fd")));
    List<Long> open = new ArrayList<>();
    try (StepLog log = new StepLog(folder);
        TensorBoardListener board = new TensorBoardListener(folder)) {
      TrainingListener watch =
          new TrainingListener() {
            @Override
            public void onEpoch(Training training, EpochMetrics metrics) {
              open.add(handles());
              // Objects, not bytes: what malloc keeps of a process's memory says nothing of leaks.
              long before = Pointer.totalCount();
              board.onEpoch(training, metrics);
              assertTrue(Pointer.totalCount() <= before, "native objects were left");
            }
          };
      ShortTraining.fit(1, log, board, watch);
      ShortTraining.fit(1, log, board, watch);
    }
    assertEquals(List.of(2L, 2L), open);
    assertEquals(0, handles());
  }

  /** How many files of the folder this process has open. */
  private long handles() {
    try (Stream<Path> handles = Files.list(Path.of("/proc/self/fd"))) {
      return handles.filter(handle -> target(handle).startsWith(folder.toString())).count();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static String target(Path handle) {
    try {
      return Files.readSymbolicLink(handle).toString();
    } catch (IOException e) {
      return ""; // closed meanwhile, as the handle of this listing itself
    }
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("tensorboard"))) {
      return files.sorted().toList();
    }
  }

  private static List<UnknownFieldSet> events(Path file) throws IOException {
    return EventRecords.parse(Files.readAllBytes(file));
  }
}
