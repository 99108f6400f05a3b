package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Something that is not finite is planted, and the message must name it. */
class DivergenceTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(3);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @CsvSource({
    "conv1.weight, Infinity, loss, 6",
    "conv2.weight, NaN, loss, 6",
    "linear.bias, -Infinity, loss, 6",
    // Nothing is above NaN, and so nothing is clipped: the loss is a number. The epoch ends it.
    "act_max, NaN, threshold act_max, 16",
  })
  void aParameterIsNamedWithTheStepThatItSpoils(
      String name, double planted, String what, int step) {
    TrainingListener planter =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            if (training.step() == 5) {
              training.checkpointed(Path.of("run", "step-5"));
              plant(StateDict.of(training.network()).get(name), planted);
            }
          }
        };
    ActclipException e = assertThrows(ActclipException.class, () -> ShortTraining.fit(1, planter));
    assertFalse(e.isBadInput());
    assertTrue(
        e.getMessage()
            .matches(
                String.format(
                    Locale.ROOT,
                    "the training diverged: the %s in step %d is (NaN|Infinity), and the first that is not finite is the parameter %s; a lower learning rate than 0\\.05 may help; the last good checkpoint is run.step-5",
                    what,
                    step,
                    name)),
        e.getMessage());
  }

  @Test
  void anImageIsNamedAndTheParametersAreStillWhatTheyWere() {
    Net net = new Net();
    double[] before = TensorNumbers.of(StateDict.of(net).get("conv1.weight"));
    TrainingListener planter =
        new TrainingListener() {
          @Override
          public void onStart(Training training) {
            Batch batch =
                DataLoader.sequential(ShortTraining.IMAGES, 8, Devices.of("cpu")).iterator().next();
            plant(batch.data(), Double.POSITIVE_INFINITY);
            training.step(List.of(batch).iterator());
          }
        };
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> ShortTraining.fit(net, ShortTraining.options(1, 0.05), planter));
    assertEquals(
        "the training diverged: the loss in step 1 is NaN, and the first that is not finite is the"
            + " data; a lower learning rate than 0.05 may help",
        e.getMessage());
    double[] after = TensorNumbers.of(StateDict.of(net).get("conv1.weight"));
    assertArrayEquals(before, after);
  }

  @ParameterizedTest
  @CsvSource({"1e6", "1e10", "1e30"})
  void aLearningRateThatIsTooHighIsNamedWithTheFirstLayerItSpoils(double learningRate) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> ShortTraining.fit(new Net(), ShortTraining.options(2, learningRate)));
    assertTrue(
        e.getMessage()
            .matches(
                "the training diverged: the loss in step \\d+ is (NaN|-?Infinity), and the first"
                    + " that is not finite is the (parameter|input of|output of) .+; a lower learning rate"
                    + " than "
                    + learningRate
                    + " may help"),
        e.getMessage());
  }

  private static void plant(Tensor tensor, double value) {
    try (TensorScope planting = new TensorScope()) {
      planting.noGrad();
      tensor.select(0, 0).fill_(new Scalar(value));
    }
  }
}
