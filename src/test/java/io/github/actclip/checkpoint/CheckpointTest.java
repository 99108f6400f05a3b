package io.github.actclip.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.data.TestData;
import io.github.actclip.data.Transform;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.Safetensors;
import io.github.actclip.io.SealedTensors;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.LogCapture;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.PhaseSeconds;
import io.github.actclip.train.ShortTraining;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Trainings that are interrupted and go on, on a few images. */
class CheckpointTest {

  private static final ImageDataset IMAGES = TestData.first(300);
  private static final int STEPS_PER_EPOCH = 20;
  private static final CheckpointOptions ONLY_WHEN_STOPPED = CheckpointOptions.defaults();

  static {
    LibTorch.load();
  }

  @TempDir Path folder;
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

  static Stream<Arguments> trainings() {
    NetOptions original = NetOptions.original();
    NetOptions quantized =
        original.with(ActivationOptions.original().quantized(QuantizationMethod.LSQ_PLUS, 4, 4));
    return Stream.of(
        Arguments.of(original, options(OptimizerType.SGD, 15), 150, List.of()),
        Arguments.of(original, options(OptimizerType.SGD, 2), STEPS_PER_EPOCH, List.of()),
        Arguments.of(
            original, options(OptimizerType.ADAMW, 3).withThresholds(0.5, 0.001), 30, List.of()),
        Arguments.of(
            quantized, options(OptimizerType.ADAMW, 3).withThresholds(0.5, 0.001), 29, List.of()),
        Arguments.of(quantized, options(OptimizerType.ADAM, 2), 1, List.of()),
        Arguments.of(
            original,
            options(OptimizerType.ADAMW, 2).toBuilder() // bfloat16 is slow where it is emulated
                .accumulation(3) // 7 steps an epoch
                .precision(Precision.BFLOAT16)
                .maxGradNorm(0.5)
                .schedule(LearningRateSchedule.reduceOnPlateau(0.5, 0).withWarmUp(5))
                .build(),
            9,
            List.of(new Augmentation(2, true))),
        Arguments.of(
            original.with(perChannel()),
            options(OptimizerType.SGD, 2).toBuilder()
                .learningRate(0.01)
                .schedule(LearningRateSchedule.step(1, 0.5))
                .build(),
            25,
            List.of(Normalization.of(IMAGES))),
        Arguments.of(original.with(logarithms()), options(OptimizerType.ADAMW, 2), 9, List.of()),
        Arguments.of(original, options(OptimizerType.SGD, 1), STEPS_PER_EPOCH - 1, List.of()));
  }

  @ParameterizedTest
  @MethodSource("trainings")
  void goesOnBitForBit(
      NetOptions shape, TrainerOptions options, int stopAfter, List<Transform> transforms) {
    Dataset train = IMAGES.transformed(transforms.toArray(Transform[]::new));
    Net straight = net(shape);
    List<EpochMetrics> expected = new Trainer(straight, options, device).fit(train, IMAGES);

    trainUntil(net(shape), options, stopAfter, train);
    torch.manual_seed(99); // A new process would not know this one's random state.
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    assertEquals(stopAfter, checkpoint.step());
    assertEquals(options, checkpoint.options());
    Net resumed = new Net(shape);
    List<EpochMetrics> actual =
        new Trainer(resumed, options, device).resume(checkpoint::restore, train, IMAGES);

    assertSameState(straight, resumed);
    assertEquals(
        expected.stream().map(CheckpointTest::timeless).toList(),
        actual.stream().map(CheckpointTest::timeless).toList());
  }

  /** Of the values, which decay, and TQT's, which do not. */
  private static ActivationOptions logarithms() {
    return ActivationOptions.clip(
            new ClipOptions(ClipForm.TIED).parameterization(Parameterization.EXP))
        .perChannel(true)
        .quantized(QuantizationMethod.TQT, 0, 4);
  }

  private static ActivationOptions frozen() {
    return ActivationOptions.clip(
        new ClipOptions(ClipForm.TIED).gradient(ThresholdGradient.FROZEN));
  }

  private static ActivationOptions perChannel() {
    return ActivationOptions.clip(new ClipOptions(ClipForm.UNTIED).learnCut(0.2)).perChannel(true);
  }

  @Test
  void aFrozenThresholdStaysFrozen() {
    Net net = net(NetOptions.original());
    net.activation().freeze();
    trainUntil(net, options(OptimizerType.SGD, 1), 3);
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    Net resumed = new Net();
    checkpoint.load(resumed);
    new Trainer(resumed, checkpoint.options(), device).resume(checkpoint::restore, IMAGES, IMAGES);
    assertEquals(1, resumed.threshold());
    Net thawed = net(NetOptions.original());
    new Trainer(thawed, checkpoint.options(), device).resume(checkpoint::restore, IMAGES, IMAGES);
    assertSameState(resumed, thawed);
  }

  /** The options begin with it frozen; somebody let it learn later. */
  @Test
  void aThresholdThatLearnsAgainGoesOnLearning() {
    NetOptions frozen = NetOptions.original().with(frozen());
    Net net = net(frozen);
    net.activation().unfreeze();
    trainUntil(net, options(OptimizerType.SGD, 1), 3);
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    Net resumed = net(frozen);
    checkpoint.load(resumed);
    double before = resumed.threshold();
    new Trainer(resumed, checkpoint.options(), device).resume(checkpoint::restore, IMAGES, IMAGES);
    assertNotEquals(before, resumed.threshold());
  }

  @Test
  void aLayerOfOnesOwnHasToBeMadeAgain() {
    Net net = new Net(NetOptions.original(), new Clip(new ClipOptions(ClipForm.RELU)));
    trainUntil(net, options(OptimizerType.SGD, 1), 3);
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    ActclipException e = assertThrows(ActclipException.class, () -> checkpoint.load(new Net()));
    assertTrue(e.getMessage().contains("Net with a layer of its own"), e.getMessage());
    Trainer plain = new Trainer(new Net(), checkpoint.options(), device);
    assertThrows(ActclipException.class, () -> plain.resume(checkpoint::restore, IMAGES, IMAGES));
    Net again = new Net(NetOptions.original(), new Clip(new ClipOptions(ClipForm.RELU)));
    new Trainer(again, checkpoint.options(), device).resume(checkpoint::restore, IMAGES, IMAGES);
    new Trainer(net, checkpoint.options(), device).resume(checkpoint::restore, IMAGES, IMAGES);
    assertSameState(net, again);
  }

  /** The options of both networks say the same: nothing of the layer. */
  @Test
  void anotherLayerOfOnesOwnIsRefused() {
    Net net = new Net(NetOptions.original(), ownClip(Parameterization.SOFTPLUS));
    trainUntil(net, options(OptimizerType.SGD, 1), 3);
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    Net other = new Net(NetOptions.original(), ownClip(Parameterization.EXP));
    double before = other.actMax().item_double();
    Trainer trainer = new Trainer(other, checkpoint.options(), device);
    ActclipException e =
        assertThrows(
            ActclipException.class, () -> trainer.resume(checkpoint::restore, IMAGES, IMAGES));
    assertTrue(
        e.getMessage()
            .contains(
                "act_raw_max is stored as \"form=RELU, parameterization=SOFTPLUS\" and used as"
                    + " \"form=RELU, parameterization=EXP\""),
        e.getMessage());
    assertEquals(before, other.actMax().item_double());
  }

  private static Clip ownClip(Parameterization parameterization) {
    return new Clip(new ClipOptions(ClipForm.RELU).parameterization(parameterization));
  }

  /** As nobody writes them: the checksum is right. */
  @ParameterizedTest
  @CsvSource({
    "'\"epoch\":0', '\"epoch\":-1'",
    "'\"epoch\":0', '\"epoch\":7'",
    "'\"step\":3', '\"step\":-3'",
    "'\"batch\":3', '\"batch\":-1'",
    "'\"epochs\":1', '\"epochs\":0'",
    "'\"network\":', '\"not\":'"
  })
  void nonsenseIsSkipped(String text, String nonsense) {
    trainUntil(net(NetOptions.original()), options(OptimizerType.SGD, 1), 3);
    Path file = Checkpoint.newest(folder).orElseThrow().file();
    SealedTensors content = SealedTensors.read(file);
    String state = content.metadata().get("training");
    assertTrue(state.contains(text), state);
    new SealedTensors(content.tensors(), Map.of("training", state.replace(text, nonsense)))
        .write(file);
    assertSkips(file);
  }

  @Test
  void aBatchThatIsNotThereIsOneSentence() {
    trainUntil(net(NetOptions.original()), options(OptimizerType.SGD, 1), 3);
    Path file = Checkpoint.newest(folder).orElseThrow().file();
    SealedTensors content = SealedTensors.read(file);
    String state = content.metadata().get("training").replace("\"batch\":3", "\"batch\":999");
    new SealedTensors(content.tensors(), Map.of("training", state)).write(file);
    Checkpoint checkpoint = Checkpoint.read(file);
    Trainer trainer = new Trainer(net(NetOptions.original()), checkpoint.options(), device);
    ActclipException e =
        assertThrows(
            ActclipException.class, () -> trainer.resume(checkpoint::restore, IMAGES, IMAGES));
    assertTrue(e.getMessage().contains("The first batch is 999"), e.getMessage());
  }

  @Test
  void tensorsThatAreNotThereAreOneSentence() {
    trainUntil(net(NetOptions.original()), options(OptimizerType.SGD, 1), 3);
    Path file = Checkpoint.newest(folder).orElseThrow().file();
    SealedTensors content = SealedTensors.read(file);
    Map<String, Tensor> without = new HashMap<>(content.tensors());
    without.remove("random");
    new SealedTensors(without, content.metadata()).write(file);
    assertSkips(file);
    without.put("random", torch.zeros(5056));
    new SealedTensors(without, content.metadata()).write(file);
    assertSkips(file);
  }

  @Test
  void twoCannotWriteToOneFolder() {
    Checkpointer first = new Checkpointer(folder, ONLY_WHEN_STOPPED);
    try (first) {
      ActclipException e =
          assertThrows(ActclipException.class, () -> new Checkpointer(folder, ONLY_WHEN_STOPPED));
      assertTrue(e.isBadInput());
      assertTrue(e.getMessage().startsWith("another training is writing"), e.getMessage());
    }
    new Checkpointer(folder, ONLY_WHEN_STOPPED).close();
  }

  @Test
  void theRandomStateGoesOn() {
    Net net = net(NetOptions.original());
    trainUntil(net, options(OptimizerType.SGD, 1), 3);
    Tensor expected = torch.randn(5);
    torch.manual_seed(99);
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    Trainer trainer = new Trainer(net(NetOptions.original()), checkpoint.options(), device);
    trainer.stop();
    trainer.resume(checkpoint::restore, IMAGES, IMAGES);
    Bits.assertSame(expected, torch.randn(5), "random numbers");
  }

  @Test
  void theNewestAreKept() {
    Trainer trainer =
        new Trainer(net(NetOptions.original()), options(OptimizerType.SGD, 1), device)
            .with(new Checkpointer(folder, new CheckpointOptions(4, Duration.ofHours(1), 2)));
    trainer.fit(IMAGES, IMAGES);
    assertEquals(List.of("step-0000000020.safetensors", "step-0000000016.safetensors"), names());
  }

  @Test
  void timeMakesOneDue() {
    Trainer trainer =
        new Trainer(net(NetOptions.original()), options(OptimizerType.SGD, 1), device)
            .with(
                new Checkpointer(
                    folder, new CheckpointOptions(Long.MAX_VALUE, Duration.ofNanos(1), 100)));
    trainer.fit(IMAGES, IMAGES);
    assertEquals(STEPS_PER_EPOCH + 1, names().size());
  }

  @Test
  void aDamagedOneIsNamedAndSkipped() throws IOException {
    trainUntil(net(NetOptions.original()), options(OptimizerType.SGD, 1), 5);
    Path damaged = Checkpoint.newest(folder).orElseThrow().file();
    byte[] bytes = Files.readAllBytes(damaged);
    int headerEnd = 8 + bytes[0] + 256 * (bytes[1] & 0xff);
    for (int at : new int[] {0, 9, headerEnd / 2, headerEnd, bytes.length / 2, bytes.length - 1}) {
      bytes[at] ^= 4;
      Files.write(damaged, bytes);
      bytes[at] ^= 4;
      assertSkips(damaged);
    }
    for (int length : new int[] {0, 7, 100, headerEnd, bytes.length - 1}) {
      Files.write(damaged, Arrays.copyOf(bytes, length));
      assertSkips(damaged);
    }
  }

  private void assertSkips(Path damaged) {
    try (LogCapture log = new LogCapture(Checkpoint.class)) {
      assertEquals(0, Checkpoint.newest(folder).orElseThrow().step());
      assertEquals(1, log.lines().size());
      assertTrue(log.lines().get(0).startsWith("WARN A checkpoint is skipped: "));
      assertTrue(log.lines().get(0).contains(damaged.toString()), log.lines().get(0));
    }
  }

  @Test
  void anotherFileIsNoCheckpoint() {
    Path file = folder.resolve("step-0000000001.safetensors");
    Safetensors.write(file, Map.of("x", torch.zeros(1)), Map.of());
    ActclipException e = assertThrows(ActclipException.class, () -> Checkpoint.read(file));
    assertTrue(e.isBadInput());
    assertTrue(Checkpoint.newest(folder).isEmpty());
    assertTrue(Checkpoint.newest(folder.resolve("absent")).isEmpty());
  }

  @Test
  void whatCannotBeWrittenCostsACheckpointAndNotTheTraining() throws IOException {
    TrainingListener obstacle =
        new TrainingListener() {
          @Override
          public void onStart(Training training) {
            AtomicFile.createFolder(folder.resolve("step-0000000004.safetensors/in-the-way"));
          }
        };
    Trainer trainer =
        new Trainer(net(NetOptions.original()), options(OptimizerType.SGD, 1), device)
            .with(
                new Checkpointer(folder, new CheckpointOptions(4, Duration.ofHours(1), 100)),
                obstacle);
    try (LogCapture log = new LogCapture(Checkpointer.class)) {
      List<EpochMetrics> epochs = trainer.fit(IMAGES, IMAGES);
      assertEquals(STEPS_PER_EPOCH, epochs.get(0).step());
      assertEquals(1, log.lines().size(), log.lines().toString());
      assertTrue(
          log.lines()
              .get(0)
              .matches(
                  "WARN There is no checkpoint of step 4, and the training goes on without: .*"
                      + "step-0000000004.safetensors cannot be written: .*: Is a directory"),
          log.lines().get(0));
    }
    assertEquals(
        List.of(20L, 16L, 12L, 8L, 4L, 0L),
        CheckpointFiles.in(folder).stream().map(CheckpointFiles::stepOf).toList());
  }

  @Test
  void whatIsNotFiniteIsNotWritten() {
    Net net = net(NetOptions.original());
    TrainingListener breaker =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            if (training.step() == 3) {
              try (TensorScope inner = new TensorScope()) {
                inner.noGrad();
                net.actMax().fill_(new org.bytedeco.pytorch.Scalar(Double.NaN));
              }
            }
          }
        };
    Checkpointer checkpointer =
        new Checkpointer(folder, new CheckpointOptions(1, Duration.ofHours(1), 1));
    Trainer trainer =
        new Trainer(net, options(OptimizerType.SGD, 1), device).with(breaker, checkpointer);
    ActclipException e = assertThrows(ActclipException.class, () -> trainer.fit(IMAGES, IMAGES));
    Path good = folder.resolve("step-0000000002.safetensors");
    assertTrue(e.getMessage().endsWith("; the last good checkpoint is " + good), e.getMessage());
    assertEquals(good, Checkpoint.newest(folder).orElseThrow().file());
  }

  @Test
  void anotherTrainingIsRefusedAndNothingChanges() {
    TrainerOptions options = options(OptimizerType.SGD, 1);
    trainUntil(net(NetOptions.original()), options, 3);
    Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
    assertRefused(
        checkpoint,
        NetOptions.original(),
        options(OptimizerType.ADAM, 1),
        IMAGES,
        "it had the options ");
    assertRefused(
        checkpoint,
        NetOptions.original().with(ActivationOptions.clip(new ClipOptions(ClipForm.RELU))),
        options,
        IMAGES,
        "it had the network ");
    assertRefused(
        checkpoint,
        NetOptions.original(),
        options,
        ImageDataset.embedded(Split.TRAIN),
        "it had other training data, from embedded, than those from embedded");
  }

  private void assertRefused(
      Checkpoint checkpoint,
      NetOptions shape,
      TrainerOptions options,
      ImageDataset images,
      String reason) {
    Net net = net(shape);
    Trainer trainer = new Trainer(net, options, device);
    ActclipException e =
        assertThrows(
            ActclipException.class, () -> trainer.resume(checkpoint::restore, images, IMAGES));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(reason), e.getMessage());
    assertSameState(net(shape), net);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0,PT1S,1", "1,PT0S,1", "1,PT-1S,1", "1,PT1S,0"})
  void optionsOutOfRangeAreRefused(String values) {
    String[] v = values.split(",");
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () ->
                new CheckpointOptions(
                    Long.parseLong(v[0]), Duration.parse(v[1]), Integer.parseInt(v[2])));
    assertTrue(e.isBadInput());
  }

  /** As Ctrl-C does it, after a step. */
  private void trainUntil(Net net, TrainerOptions options, int steps) {
    trainUntil(net, options, steps, IMAGES);
  }

  private void trainUntil(Net net, TrainerOptions options, int steps, Dataset train) {
    TrainingListener stopper = ShortTraining.stopAfter(steps);
    try (Checkpointer checkpointer = new Checkpointer(folder, ONLY_WHEN_STOPPED)) {
      new Trainer(net, options, device).with(stopper, checkpointer).fit(train, IMAGES);
    }
  }

  private List<String> names() {
    return CheckpointFiles.in(folder).stream().map(file -> file.getFileName().toString()).toList();
  }

  private static void assertSameState(Net expected, Net actual) {
    Map<String, Tensor> other = StateDict.of(actual);
    StateDict.of(expected).forEach((name, value) -> Bits.assertSame(value, other.get(name), name));
  }

  private static EpochMetrics timeless(EpochMetrics e) {
    return new EpochMetrics(
        e.epoch(),
        e.step(),
        e.learningRate(),
        e.train(),
        e.test(),
        e.thresholds(),
        0,
        PhaseSeconds.ZERO);
  }

  private static Net net(NetOptions shape) {
    torch.manual_seed(3);
    return new Net(shape);
  }

  private static TrainerOptions options(OptimizerType optimizer, int epochs) {
    return TrainerOptions.builder(optimizer)
        .epochs(epochs)
        .batchSize(IMAGES.size() / STEPS_PER_EPOCH)
        .seed(5)
        .build();
  }
}
