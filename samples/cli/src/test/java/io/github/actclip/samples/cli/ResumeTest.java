package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Trainings that end in every way that one can, and go on. */
class ResumeTest {

  private static final String TRAINING = "train --epochs 3 --batch-size 50 --optimizer adamw";
  private static final String MODEL = "model.safetensors";
  private static final Path FIRST = Path.of("checkpoints/step-0000000000.safetensors");

  private static final int KILLS = Integer.getInteger("actclip.kills", 10);

  @TempDir static Path data;
  @TempDir static Path shared;
  private static Path straight;

  @TempDir Path folder;

  @BeforeAll
  static void trainWithoutABreak() throws Exception {
    FewImages.write(data);
    straight = shared.resolve("straight");
    assertEquals(0, begin("--out", straight).await().status());
  }

  /**
   * Writes a checkpoint after every step, so that many are killed in the middle of that; two
   * trainings at once, since most of the time goes into waiting.
   */
  @Test
  void afterAKillItGoesOnFromAWholeCheckpoint() throws Exception {
    CompletableFuture<Void> other = CompletableFuture.runAsync(() -> killAndGoOn("a", 5));
    killAndGoOn("b", 6);
    other.get();
  }

  private void killAndGoOn(String name, long seed) {
    try {
      Random random = new Random(seed);
      int kills = 0;
      for (int round = 0; kills < KILLS / 2; round++) {
        kills += killUntilDone(folder.resolve(name + round), random, KILLS / 2 - kills);
      }
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Returns how often it had to be killed, at most that often; in the end it is complete. */
  private static int killUntilDone(Path out, Random random, int most) throws Exception {
    Forked program = begin("--checkpoint-every", 1, "--out", out);
    program.awaitFile(out.resolve(FIRST));
    for (int kills = 0; kills < most; kills++) {
      boolean starting = kills > 0 && random.nextInt(3) == 0;
      if (!starting) {
        awaitStep(program, out);
      }
      if (program.awaitEnd(starting ? random.nextInt(500, 1_300) : random.nextInt(1, 300))) {
        assertFinished(program.await(), out);
        return kills;
      }
      program.kill();
      assertAllWhole(out);
      program = start("train --checkpoint-every 1", "--resume", out);
    }
    assertFinished(program.await(), out);
    return most;
  }

  /** Most of the time of one that goes on is its start, in which there is little to harm. */
  private static void awaitStep(Forked program, Path out) throws Exception {
    List<String> before = checkpoints(out);
    while (checkpoints(out).equals(before) && !program.awaitEnd(10)) {
      // It starts.
    }
  }

  @Test
  void afterCtrlCItGoesOnInTheMiddleOfAnEpoch() throws Exception {
    Forked.assumeCtrlCIsHeard();
    Path out = folder.resolve("stopped");
    Forked program = begin("--out", out);
    program.awaitFile(out.resolve(FIRST));
    program.interrupt();
    assertEquals(130, program.await().status());
    assertFinished(start("train", "--resume", out).await(), out);
  }

  @Test
  void anotherIsRefusedMeanwhileAndLeavesEverythingAlone() throws Exception {
    Forked.assumeCtrlCIsHeard();
    Path out = folder.resolve("busy");
    Forked program = start("train --epochs 1000", "--data", data, "--out", out);
    program.awaitFile(out.resolve("summary.json"));
    Result second = start("train --tensorboard", "--resume", out).await();
    assertEquals(2, second.status(), second.err());
    assertTrue(second.err().contains("another training is writing its checkpoints"), second.err());
    assertFalse(Files.exists(out.resolve("tensorboard")));
    program.interrupt();
    assertEquals(130, program.await().status());
    assertTrue(Files.size(out.resolve("steps.jsonl")) > 0);
  }

  @Test
  void whatStopsAtOnceLeavesTheResultsAlone() throws Exception {
    Path out = folder.resolve("stopped");
    begin("--stop-after-epoch", 1, "--out", out).await();
    String summary = Files.readString(out.resolve("summary.json"));
    Result again = start("train --stop-after-epoch 1", "--resume", out).await();
    assertEquals(0, again.status(), again.err());
    assertTrue(again.out().startsWith("stopped "), again.out());
    assertEquals(summary, Files.readString(out.resolve("summary.json")));
  }

  @Test
  void afterAnEpochItGoesOnAndSkipsWhatIsDamaged() throws Exception {
    Path out = folder.resolve("early");
    String often = "--checkpoint-minutes=0.0001";
    Result stopped =
        begin(often, "--keep-checkpoints", 2, "--stop-after-epoch", 2, "--out", out).await();
    assertEquals(0, stopped.status(), stopped.err());
    assertTrue(stopped.out().startsWith("stopped "), stopped.out());
    assertEquals(2, Files.readAllLines(out.resolve("metrics.jsonl")).size());
    assertEquals(
        List.of("step-0000000079.safetensors", "step-0000000080.safetensors"), checkpoints(out));

    Files.writeString(out.resolve("checkpoints/step-0000009999.safetensors"), "torn");
    Result resumed = start("train", "--resume", out).await();
    assertFinished(resumed, out);
    assertTrue(
        resumed.err().contains("A checkpoint is skipped: " + out + "/checkpoints/step-0000009999"),
        resumed.err());
    assertEquals(3, Files.readAllLines(out.resolve("metrics.jsonl")).size());

    Result again = start("train", "--resume", out).await();
    assertEquals(0, again.status(), again.err());
    assertEquals(resumed.out(), again.out());
  }

  @Test
  void itGoesOnForAsManyEpochsAsAreAskedFor() throws Exception {
    Path out = folder.resolve("longer");
    String constant = "train --batch-size 100 --schedule constant --data=" + data;
    start(constant, "--epochs", 1, "--out", out).await();
    Result fewer = start("train --epochs 0", "--resume", out).await();
    assertEquals(2, fewer.status(), fewer.err());
    Result longer = start("train --epochs 2", "--resume", out).await();
    assertEquals(0, longer.status(), longer.err());
    Path planned = folder.resolve("planned");
    start(constant, "--epochs", 2, "--out", planned).await();
    assertEquals(-1, Files.mismatch(planned.resolve(MODEL), out.resolve(MODEL)));
    Path steps = Path.of("steps.jsonl");
    assertEquals(-1, Files.mismatch(planned.resolve(steps), out.resolve(steps)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"--batch-size 4", "--lr 0.1 --seed 3", "--out elsewhere", "--clip soft"})
  void otherOptionsAreRefused(String others) throws Exception {
    Result result = InThisJvm.run(words("train " + others, "--resume", straight));
    assertEquals(2, result.status());
    assertTrue(
        result.err().startsWith("samples/run: --resume goes on with the options that the training"),
        result.err());
    assertTrue(result.err().contains(others.split(" ")[0]), result.err());
    assertEquals(1, result.err().lines().count());
  }

  @Test
  void aFolderWithoutACheckpointIsRefused() throws Exception {
    Result result = InThisJvm.run(words("train", "--resume", folder.resolve("nowhere")));
    assertEquals(2, result.status());
    assertTrue(result.err().contains("holds no checkpoint"), result.err());
  }

  private static void assertAllWhole(Path out) throws IOException {
    List<String> names = checkpoints(out);
    assertFalse(names.isEmpty(), "a kill left no checkpoint");
    names.forEach(name -> Checkpoint.read(out.resolve("checkpoints").resolve(name)));
  }

  private static List<String> checkpoints(Path out) throws IOException {
    try (Stream<Path> files = Files.list(out.resolve("checkpoints"))) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith("step-"))
          .sorted()
          .toList();
    }
  }

  private static void assertFinished(Result result, Path out) throws IOException {
    assertEquals(0, result.status(), result.err());
    assertEquals(-1, Files.mismatch(straight.resolve(MODEL), out.resolve(MODEL)));
  }

  private static Forked begin(Object... others) throws IOException {
    return start(TRAINING + " --data=" + data, others);
  }

  private static Forked start(String words, Object... others) throws IOException {
    return Forked.start(words(words, others));
  }

  private static String[] words(String words, Object... others) {
    return Stream.concat(
            Arrays.stream(words.split(" ")), Arrays.stream(others).map(Object::toString))
        .toArray(String[]::new);
  }
}
