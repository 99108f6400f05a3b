package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every way to train, and every way in which a training ends by itself. */
class TrainCommandTest {

  @TempDir static Path data;

  @TempDir Path folder;

  @BeforeAll
  static void writeData() throws Exception {
    FewImages.write(data);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--clip two_sided --threshold-gradient mean --threshold-lr 0.5 --threshold-decay 0.001",
        "--clip untied --cut-bandwidth 0.2 --per-channel --calibrate percentile",
        "--clip soft --clip-beta 5 --threshold-parameterization log2 --threshold-floor 0.1",
        "--clip none",
        "--activation-bits 4 --weight-bits 4 --quantizer lsq --calibrate mse"
      })
  void everyWayToClipIsTrainedSavedAndEvaluatedTheSame(String options) throws Exception {
    assertIsSavedAndEvaluatedTheSame("--epochs 1 --batch-size 32 " + options);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--schedule cosine --warm-up 20 --crop-padding 2 --flip --normalize --accumulate 2"
            + " --batch-size 16 --max-grad-norm 5 --precision bfloat16",
        "--schedule step --step-size 1 --gamma 0.5 --normalize --lr 0.01 --batch-size 32",
        "--batch-size 32 --schedule reduce_on_plateau --plateau-factor 0.5 --plateau-patience 0"
      })
  void everyWayToTrainIsSavedAndEvaluatedTheSame(String options) throws Exception {
    assertIsSavedAndEvaluatedTheSame("--epochs 2 " + options);
  }

  private void assertIsSavedAndEvaluatedTheSame(String options) throws Exception {
    Path out = folder.resolve("trained");
    Result result = train(options, "--out=" + out);
    assertEquals(0, result.status(), result.err());
    assertTrue(result.accuracy() > 65, result.out());
    Result evaluation = InThisJvm.run("evaluate", "--model", out.toString());
    assertEquals(result.test(), evaluation.test());
  }

  private static Result train(String options, String out) throws Exception {
    String args = "train --data=" + data + " " + options + " " + out;
    return Forked.start(args.split(" ")).await();
  }

  @Test
  void aTrainingThatGetsNoBetterEndsEarlyAfterABreakTooAndTensorBoardGetsItsFiles()
      throws Exception {
    Path out = folder.resolve("early");
    String still = "--batch-size=32 --lr=1e-30"; // too low to move anything
    Result begun =
        train(still + " --early-stopping=1 --tensorboard --stop-after-epoch=1", "--out=" + out);
    assertEquals(0, begun.status(), begun.err());
    Result result = Forked.start("train", "--resume=" + out).await();
    assertEquals(0, result.status(), result.err());
    assertTrue(result.err().contains("The training ends early: the test loss was"), result.err());
    assertTrue(result.out().contains("in epoch 2, after step 126"), result.out());
    List<String> events = CommandLineTest.files(out.resolve("tensorboard"));
    assertEquals(2, events.size());
    assertTrue(events.get(0).startsWith("events.out.tfevents."), events.get(0));
  }

  @Test
  void clippingInPlaceFailsWithLibTorchsReason() throws Exception {
    Path out = folder.resolve("in-place");
    Result result = train("--clip in_place --tensorboard", "--out=" + out);
    assertEquals(1, result.status(), result.err());
    assertTrue(result.err().contains("modified by an inplace operation"), result.err());
    assertFalse(Files.exists(out), "a first step that failed left something");
  }

  @Test
  void aThresholdThatDoesNotLearnStopsTheTrainingWhenAsked() throws Exception {
    Result result =
        train(
            "--batch-size=16 --threshold-init=1000 --threshold-decay=0 --threshold-watch=stop",
            "--out=" + folder.resolve("stuck"));
    assertEquals(1, result.status(), result.err());
    assertTrue(
        result
            .err()
            .contains("samples/run: the threshold act_max (1000.0) has not moved from step"),
        result.err());
    assertTrue(result.err().contains("the gradient that it gets is exactly 0"), result.err());
  }

  @Test
  void aTrainingThatDivergesIsOneLineAndNoResult() throws Exception {
    Result result =
        train(
            "--epochs=1 --batch-size=2000 --lr=1e30 --schedule=constant",
            "--out=" + folder.resolve("diverged"));
    assertEquals(1, result.status(), result.err());
    assertTrue(result.err().contains("the training diverged: the test loss in step 1 is NaN"));
    assertEquals(
        List.of("checkpoints", "listeners.properties", "steps.jsonl"),
        CommandLineTest.files(folder.resolve("diverged")));
  }

  @Test
  void anErrorEndsTheProcess() throws Exception {
    Result result =
        Forked.start(
                List.of("-Xmx64m", "-Dorg.bytedeco.javacpp.maxPhysicalBytes=256m"),
                Main.class,
                "train",
                "--batch-size=4000",
                "--out=" + folder.resolve("oom"))
            .await();
    assertEquals(1, result.status(), result.err());
    assertTrue(result.err().contains("samples/run: out of memory ("), result.err());
  }
}
