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
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.models.Net;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
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
    assertTrue(last.test().get("accuracy") > 0.6, "accuracy " + last.test());
    assertTrue(last.trainLoss() < epochs.get(0).trainLoss());
    ActivationStatistics clip = last.thresholds().get("act_max");
    assertNotEquals(1, clip.threshold());
    assertEquals(net.actMax().item_double(), clip.threshold());
    assertTrue(clip.clipRate() > 0 && clip.clipRate() < 1, "clip rate " + clip.clipRate());
    assertEquals(net.actMax().grad().item_double(), clip.gradient());
    assertNotEquals(0, clip.gradient());
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
    new Trainer(net(), options, device).with(listener).fit(FEW, FEW);

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
    assertEquals(IMAGES.size(), evaluation.samples());
    assertEquals(plainAccuracy(net), evaluation.accuracy());
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
    trainer[0] = new Trainer(net, options(OptimizerType.SGD, 1000), device).with(stopper);
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
  void aTrainingGivesBackWhatMallocKept() {
    trainer(net(), options(OptimizerType.SGD, 1)).fit(IMAGES, IMAGES);
    long after = Pointer.physicalBytes();
    KernelLibrary.releaseFreedMemory();
    long kept = after - Pointer.physicalBytes();
    assertTrue(kept < 16 << 20, kept + " bytes were kept");
  }

  private static Net net() {
    torch.manual_seed(3);
    return new Net();
  }

  private Trainer trainer(Net net, TrainerOptions options) {
    return new Trainer(net, options, device);
  }

  private static TrainerOptions options(OptimizerType optimizer, int epochs) {
    return TrainerOptions.builder(optimizer).epochs(epochs).seed(5).build();
  }

  /** For as many steps on {@link #FEW}. */
  private static TrainerOptions few(OptimizerType optimizer, int epochs) {
    return options(optimizer, epochs).toBuilder().batchSize(16).build();
  }

  /** The mean loss in one batch, without the evaluator. */
  private double plainLoss(Net net) {
    double[] loss = new double[1];
    for (Batch batch : DataLoader.sequential(IMAGES, IMAGES.size(), device)) {
      loss[0] = torch.cross_entropy_loss(net.forward(batch.data()), batch.target()).item_double();
    }
    return loss[0];
  }

  private double plainAccuracy(Net net) {
    double[] right = new double[1];
    for (Batch batch : DataLoader.sequential(IMAGES, IMAGES.size(), device)) {
      double[] logits = TensorNumbers.of(net.forward(batch.data()));
      double[] classes = TensorNumbers.of(batch.target());
      for (int i = 0; i < classes.length; i++) {
        double[] of = Arrays.copyOfRange(logits, 10 * i, 10 * i + 10);
        right[0] += of[(int) classes[i]] == Arrays.stream(of).max().orElseThrow() ? 1 : 0;
      }
    }
    return right[0] / IMAGES.size();
  }
}
