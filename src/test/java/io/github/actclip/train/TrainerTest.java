package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.data.TestData;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.ReportData;
import io.github.actclip.report.RunDirectory;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.LogCapture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OptimizerParamGroupVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The loop and what it leaves behind, on the embedded test images or the first of them. */
class TrainerTest {

  private static final ImageDataset IMAGES = ImageDataset.embedded(Split.TEST);
  private static final ImageDataset FEW = TestData.first(250);
  private static final LearningRateSchedule ONE_CYCLE =
      LearningRateSchedule.of(LearningRateSchedule.Type.ONE_CYCLE);

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

  @ParameterizedTest
  @EnumSource(OptimizerType.class)
  void everyOptimizerLearnsAndMovesTheThreshold(OptimizerType optimizer) {
    Net net = net();
    List<EpochMetrics> epochs = trainer(net, options(optimizer, 2)).fit(IMAGES, IMAGES);

    assertEquals(2, epochs.size());
    EpochMetrics last = epochs.get(1);
    assertEquals(2, last.epoch());
    assertEquals(2L * 16, last.step());
    assertTrue(last.testAccuracy() > 0.6, "accuracy " + last.testAccuracy());
    assertTrue(last.trainLoss() < epochs.get(0).trainLoss());
    assertNotEquals(1, last.actMax());
    assertEquals(net.actMax().item_double(), last.actMax());
    assertTrue(last.clipRate() > 0 && last.clipRate() < 1, "clip rate " + last.clipRate());
    assertEquals(net.actMax().grad().item_double(), last.thresholdGradient());
    assertNotEquals(0, last.thresholdGradient());
  }

  /** By momentum and weight decay, with gradients from before. */
  @Test
  void whatIsFrozenStandsStill() {
    TensorScope.run(
        () -> {
          torch.manual_seed(31);
          Net net = new Net();
          torch
              .cross_entropy_loss(
                  net.forward(torch.rand(2, 3, 32, 32)), torch.zeros(2).to(ScalarType.Long))
              .backward();
          Tensor weight = StateDict.of(net).get("conv2.weight");
          weight.set_requires_grad(false);
          double[] weights = Fixture.values(weight);
          TrainerOptions options =
              ShortTraining.options(1, 0.05).toBuilder()
                  .weightDecay(0.1)
                  .thresholdWeightDecay(0.1)
                  .build();
          double[] frozen = {0};
          TrainingListener freezing =
              new TrainingListener() {
                @Override
                public void onStep(Training training) {
                  if (training.step() == 3) {
                    net.activation().freeze();
                    frozen[0] = net.threshold();
                  }
                }
              };
          ShortTraining.fit(net, options, freezing);
          assertTrue(frozen[0] != 1);
          assertEquals(frozen[0], net.threshold());
          assertArrayEquals(weights, Fixture.values(weight));
        });
  }

  @Test
  void theLoopIsTheOneThatAUserWouldWrite() {
    TrainerOptions options = few(OptimizerType.SGD, 1);
    Net trained = net();
    trainer(trained, options).fit(FEW, FEW);

    Net plain = net();
    Optimizer optimizer =
        options.optimizer().type().create(plain.parameters(), options.optimizer());
    DataLoader loader = DataLoader.shuffled(FEW, options.batchSize(), options.seed(), device);
    long step = 0;
    for (Batch batch : loader) {
      double rate = ONE_CYCLE.at(0.05, step++, loader.batches(), loader.batches(), List.of());
      optimizer.param_groups().get(0).options().set_lr(rate);
      optimizer.zero_grad();
      torch.cross_entropy_loss(plain.forward(batch.data()), batch.target()).backward();
      optimizer.step();
    }

    StateDict.of(plain)
        .forEach(
            (name, value) ->
                assertArrayEquals(
                    Fixture.values(value), Fixture.values(StateDict.of(trained).get(name)), name));
  }

  @Test
  void theScheduleSetsTheThresholdsRateToo() {
    TrainerOptions options = few(OptimizerType.SGD, 1).withThresholds(0.25, 1e-3);
    List<double[]> rates = new ArrayList<>();
    List<Long> steps = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            steps.add(training.step());
            OptimizerParamGroupVector groups = training.optimizer().param_groups();
            rates.add(
                new double[] {groups.get(0).options().get_lr(), groups.get(1).options().get_lr()});
          }
        };
    new Trainer(net(), options, device, List.of(listener)).fit(FEW, FEW);

    assertEquals(LongStream.rangeClosed(1, 16).boxed().toList(), steps);
    for (int i = 0; i < 16; i++) {
      double rate = ONE_CYCLE.at(0.05, i, 16, 16, List.of());
      assertArrayEquals(new double[] {rate, rate / 4}, rates.get(i));
    }
  }

  @Test
  void aDecayOfItsOwnBringsTheThresholdDown() {
    Net net = net();
    TrainerOptions options = few(OptimizerType.SGD, 2);
    trainer(net, options).fit(FEW, FEW);
    Net decayed = net();
    trainer(decayed, options.withThresholds(1, 0.5)).fit(FEW, FEW);
    assertTrue(
        decayed.threshold() < 0.8 * net.threshold(), decayed.threshold() + ", " + net.threshold());
  }

  @Test
  void evaluationCountsEveryImageOnceAndNeedsNoGradient() {
    Net net = net();
    Evaluation evaluation = Evaluator.evaluate(net, IMAGES, device);
    assertEquals(IMAGES.size(), evaluation.images());
    assertEquals((double) evaluation.correct() / IMAGES.size(), evaluation.accuracy());
    assertEquals(plainLoss(net), evaluation.loss(), 1e-5);
    assertFalse(net.actMax().grad().defined());
  }

  @Test
  void stopEndsTheEpochAfterTheStepAndStillTests() {
    List<ProgressMetrics> progress = new ArrayList<>();
    Net net = net();
    Trainer[] trainer = new Trainer[1];
    TrainingListener stopper =
        new TrainingListener() {
          @Override
          public void onProgress(ProgressMetrics metrics) {
            progress.add(metrics);
            trainer[0].stop();
          }
        };
    trainer[0] = new Trainer(net, options(OptimizerType.SGD, 1000), device, List.of(stopper));
    List<EpochMetrics> epochs = trainer[0].fit(IMAGES, IMAGES);

    EpochMetrics last = epochs.get(epochs.size() - 1);
    assertEquals(1, progress.size());
    assertEquals(progress.get(0).step(), last.step());
    assertEquals(16_000, progress.get(0).totalSteps());
    assertEquals(Evaluator.evaluate(net, IMAGES, device).loss(), last.testLoss());
    assertTrue(trainer[0].isStopped());
  }

  @Test
  void aTrainingThatDivergesSaysSo() {
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.SGD)
            .epochs(2)
            .learningRate(1e6)
            .schedule(LearningRateSchedule.of(LearningRateSchedule.Type.CONSTANT))
            .build();
    ActclipException e =
        assertThrows(ActclipException.class, () -> trainer(net(), options).fit(IMAGES, IMAGES));
    assertTrue(
        e.getMessage()
            .matches(
                "the training diverged: the loss in step \\d+ is (NaN|Infinity), and the first that is not finite is the (output|parameter) .*; a lower learning rate than 1000000.0 may help"),
        e.getMessage());
    assertFalse(e.isBadInput());
  }

  @Test
  void whatIsSavedIsReloadedAndEvaluatesTheSame() throws IOException {
    Net net = net();
    TrainerOptions options = few(OptimizerType.ADAMW, 1);
    RunDirectory directory = RunDirectory.create(folder.resolve("a/b"));
    List<EpochMetrics> epochs =
        new Trainer(
                net,
                options,
                device,
                List.of(directory.recorder(net, last -> summary(options, last))))
            .fit(FEW, FEW);
    RunSummary summary = summary(options, epochs.get(0));
    directory.finish(summary, epochs);

    RunDirectory reopened = RunDirectory.open(folder.resolve("a/b"));
    assertEquals(summary, reopened.loadSummary());
    Evaluation again = Evaluator.evaluate(reopened.loadNet(), FEW, device);
    assertEquals(epochs.get(0).testAccuracy(), again.accuracy());
    assertEquals(epochs.get(0).testLoss(), again.loss());
    try (Stream<Path> files = Files.list(directory.folder())) {
      assertEquals(
          new TreeSet<>(
              List.of(
                  "metrics.csv",
                  "metrics.jsonl",
                  "model.safetensors",
                  "report.html",
                  "summary.json")),
          new TreeSet<>(files.map(file -> file.getFileName().toString()).toList()));
    }
    List<String> lines = Files.readAllLines(directory.folder().resolve("metrics.jsonl"));
    assertEquals(1, lines.size());
    assertTrue(lines.get(0).matches(".*\"clip_rate\":0[.0-9E-]+,.*"), lines.get(0));
    assertTrue(lines.get(0).matches(".*\"threshold_gradient\":-?[.0-9E-]+,.*"), lines.get(0));
  }

  @Test
  void aTrainingGivesBackWhatMallocKept() {
    trainer(net(), options(OptimizerType.SGD, 1)).fit(IMAGES, IMAGES);
    long after = Pointer.physicalBytes();
    KernelLibrary.releaseFreedMemory();
    long kept = after - Pointer.physicalBytes();
    assertTrue(kept < 16 << 20, kept + " bytes were kept");
  }

  @Test
  void theReportShowsTheStepsThatWereRecorded() throws IOException {
    RunDirectory directory = RunDirectory.create(folder);
    EpochMetrics epoch =
        new EpochMetrics(
            1, 16, 0.05, 2, 0.5, 1.5, 0.6, 1.25, 0.3, -0.01, 100, PhaseSeconds.ZERO, List.of());
    Files.writeString(folder.resolve("steps.jsonl"), Json.line(ReportData.step(1, 4)) + "\n");
    directory.finish(summary(options(OptimizerType.SGD, 1), epoch), List.of(epoch));
    String page = Files.readString(folder.resolve(RunDirectory.REPORT));
    assertTrue(page.contains("Gradient of conv.scale"), page);
    assertFalse(page.contains("NaN"), page);
    assertTrue(
        page.contains("60.00 % of 2,000 test images right after 1 epoch; the threshold"), page);
    assertTrue(page.contains("a &lt;b&gt; &amp; &quot;c&quot;"), page);
  }

  @Test
  void whatCannotBeWrittenCostsTheResultsOfAnEpochAndNotTheTraining() throws IOException {
    RunDirectory directory = RunDirectory.create(folder.resolve("full"));
    Path inTheWay = Files.createDirectory(directory.folder().resolve("metrics.csv"));
    Path content = Files.createFile(inTheWay.resolve("content"));
    TrainingListener remover =
        new TrainingListener() {
          @Override
          public void onEpoch(Training training, EpochMetrics metrics) {
            try {
              if (metrics.epoch() == 1) {
                Files.delete(content);
                Files.delete(inTheWay);
              }
            } catch (IOException e) {
              throw new AssertionError(e);
            }
          }
        };
    TrainerOptions options = few(OptimizerType.SGD, 2);
    Net net = net();
    TrainingListener recorder = directory.recorder(net, last -> summary(options, last));
    try (LogCapture log = new LogCapture(RunDirectory.class)) {
      new Trainer(net, options, device, List.of(recorder, remover)).fit(FEW, FEW);
      assertEquals(1, log.lines().size(), log.lines().toString());
      assertTrue(
          log.lines()
              .get(0)
              .startsWith("WARN The results of epoch 1 are not saved, and the training goes on: "),
          log.lines().get(0));
    }
    assertEquals(2, Files.readAllLines(directory.folder().resolve("metrics.jsonl")).size());
    assertEquals(2, directory.loadSummary().last().epoch());
  }

  @Test
  void aTrainingWhoseNetworkIsNotSavedEndsAsAFailure() throws IOException {
    RunDirectory directory = RunDirectory.create(folder.resolve("unsaved"));
    Path inTheWay = Files.createDirectory(directory.folder().resolve("model.safetensors"));
    Files.createFile(inTheWay.resolve("content"));
    TrainerOptions options = few(OptimizerType.SGD, 1);
    Net net = net();
    TrainingListener recorder = directory.recorder(net, last -> summary(options, last));
    List<EpochMetrics> epochs = new Trainer(net, options, device, List.of(recorder)).fit(FEW, FEW);
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> directory.finish(summary(options, epochs.get(0)), epochs));
    assertFalse(e.isBadInput());
    assertTrue(e.getMessage().startsWith(inTheWay + " cannot be written: "), e.getMessage());
    assertTrue(Files.exists(directory.folder().resolve("report.html")));
  }

  @Test
  void aNetworkWithALayerOfItsOwnIsNotRecorded() {
    Net net = new Net(NetOptions.original(), new Clip(new ClipOptions(ClipForm.SOFT).beta(2)));
    RunDirectory directory = RunDirectory.create(folder.resolve("own"));
    ActclipException e =
        assertThrows(ActclipException.class, () -> directory.recorder(net, last -> null));
    assertTrue(e.getMessage().startsWith("this network clips by a layer of its own"));
  }

  @Test
  void aFolderThatHoldsATrainingIsNotOverwritten() throws IOException {
    Files.writeString(folder.resolve("metrics.jsonl"), "precious");
    ActclipException e = assertThrows(ActclipException.class, () -> RunDirectory.create(folder));
    assertEquals(
        folder + " already holds the results of a training (metrics.jsonl): name another folder",
        e.getMessage());
    assertTrue(e.isBadInput());
    assertEquals("precious", Files.readString(folder.resolve("metrics.jsonl")));
  }

  @Test
  void aFolderThatCannotBeMadeIsOneSentence() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    ActclipException e =
        assertThrows(ActclipException.class, () -> RunDirectory.create(file.resolve("run")));
    assertTrue(
        e.getMessage().startsWith("the folder " + file.resolve("run") + " cannot be made: "));
    assertFalse(e.isBadInput());
  }

  @Test
  void aFolderWithoutATrainingIsOneSentence() {
    ActclipException e = assertThrows(ActclipException.class, () -> RunDirectory.open(folder));
    assertEquals(
        folder + " is not the folder of a training: it has no summary.json", e.getMessage());
  }

  @Test
  void aSummaryThatIsNoneIsOneSentence() throws IOException {
    Files.writeString(folder.resolve("model.safetensors"), "");
    for (String text : List.of("", "[]", "{}", "{\"data\": null}", "no json", "{\"net\": {}}")) {
      Files.writeString(folder.resolve("summary.json"), text);
      RunDirectory directory = RunDirectory.open(folder);
      ActclipException e = assertThrows(ActclipException.class, directory::loadSummary);
      assertTrue(e.isBadInput());
      assertTrue(e.getMessage().contains("summary.json is not a summary"), e.getMessage());
      assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    }
  }

  private static Net net() {
    torch.manual_seed(3);
    return new Net();
  }

  private Trainer trainer(Net net, TrainerOptions options) {
    return new Trainer(net, options, device, List.of());
  }

  private static TrainerOptions options(OptimizerType optimizer, int epochs) {
    return TrainerOptions.builder(optimizer).epochs(epochs).seed(5).build();
  }

  /** For as many steps on {@link #FEW}. */
  private static TrainerOptions few(OptimizerType optimizer, int epochs) {
    return options(optimizer, epochs).toBuilder().batchSize(16).build();
  }

  private static RunSummary summary(TrainerOptions options, EpochMetrics last) {
    return new RunSummary(
        "embedded",
        "a <b> & \"c\"",
        IMAGES.size(),
        IMAGES.size(),
        "cpu",
        NetOptions.original(),
        options,
        RuntimeInfo.current(),
        false,
        last);
  }

  /** The mean loss in one batch, without the evaluator. */
  private double plainLoss(Net net) {
    double[] loss = new double[1];
    for (Batch batch : DataLoader.sequential(IMAGES, IMAGES.size(), device)) {
      loss[0] = torch.cross_entropy_loss(net.forward(batch.data()), batch.target()).item_double();
    }
    return loss[0];
  }
}
