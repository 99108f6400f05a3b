package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.ForkedJvm;
import io.github.actclip.testing.OwnNetwork;
import io.github.actclip.train.EpochMetrics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Networks of one's own in a folder: trained, killed, gone on with, reported. */
class OwnTrainingTest {

  private static final long TIMEOUT_SECONDS = 120;

  static {
    LibTorch.load();
  }

  @TempDir Path folder;

  /** By kill -9; {@link RunTest} breaks off those of every kind. */
  @ParameterizedTest
  @EnumSource(
      value = OwnNetwork.class,
      names = {"CONV", "MLP", "BRANCHES"})
  void aTrainingThatIsKilledGoesOnToTheSameBits(OwnNetwork kind) throws Exception {
    Path straight = folder.resolve("straight");
    List<EpochMetrics> epochs = OwnTraining.fit(kind, straight, OwnTraining.EPOCHS);
    assertEquals(OwnTraining.EPOCHS, epochs.size());

    Path killed = folder.resolve("killed");
    ForkedJvm process = start(kind, killed);
    while (process.isAlive() && !hasSteps(killed.resolve("checkpoints"))) {
      Thread.sleep(5);
    }
    process.kill();
    assertTrue(Run.newest(killed).step() < 2L * OwnTraining.EPOCHS, "it was killed too late");
    String output = start(kind, killed).awaitOutput();
    assertTrue(Files.exists(killed.resolve(Run.REPORT)), output);

    for (String file : List.of("steps.jsonl", Run.MODEL)) {
      assertArrayEquals(
          Files.readAllBytes(straight.resolve(file)),
          Files.readAllBytes(killed.resolve(file)),
          file);
    }
    assertEquals(timeless(straight), timeless(killed));
  }

  private static ForkedJvm start(OwnNetwork kind, Path folder) throws IOException {
    return ForkedJvm.start(
        OwnTraining.class,
        List.of(),
        Map.of(),
        Map.of(),
        TIMEOUT_SECONDS,
        kind.name(),
        folder.toString());
  }

  /** The first checkpoint is of step 0. */
  private static boolean hasSteps(Path checkpoints) {
    return Checkpoint.isIn(checkpoints)
        && Checkpoint.newest(checkpoints).map(c -> c.step() > 0).orElse(false);
  }

  /** The metrics of each epoch, without times. */
  private static List<String> timeless(Path run) throws IOException {
    return Files.readAllLines(run.resolve("metrics.jsonl")).stream()
        .map(line -> line.replaceAll(",\"samples_per_second.*", ""))
        .toList();
  }

  @ParameterizedTest
  @EnumSource(OwnNetwork.class)
  void theReportNamesLossMetricAndThresholds(OwnNetwork kind) throws IOException {
    OwnTraining.fit(kind, folder, 2);
    String page = Files.readString(folder.resolve(Run.REPORT));
    assertTrue(page.contains(kind.loss.text()), "the loss");
    String threshold =
        switch (kind) {
          case QUANTIZED -> "act.scale";
          case QUANTIZED_MLP, QUANTIZED_BRANCHES -> "clip.scale";
          case RESNET -> "layer3.2.act2.max";
          case SCRIPTED -> "clip0.max";
          default -> "clip.max";
        };
    assertTrue(page.contains(threshold), page);
    assertTrue(
        Files.readString(folder.resolve("metrics.csv")).contains("test_" + kind.metric.name()));
  }

  @Test
  void aFolderOfAnotherNetworkIsRefused() throws IOException {
    OwnTraining.fit(OwnNetwork.MLP, folder, 1);
    byte[] model = Files.readAllBytes(folder.resolve(Run.MODEL));
    ActclipException e =
        assertThrows(ActclipException.class, () -> OwnTraining.fit(OwnNetwork.BRANCHES, folder, 1));
    assertTrue(e.isBadInput());
    assertTrue(
        e.getMessage().endsWith("it had the network Mlp, and this one is TwoBranches"),
        e.getMessage());
    assertArrayEquals(model, Files.readAllBytes(folder.resolve(Run.MODEL)));
  }
}
