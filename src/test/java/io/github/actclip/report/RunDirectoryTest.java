package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Who gets a folder. */
class RunDirectoryTest {

  @TempDir Path folder;

  @Test
  void aFolderInWhichAStartFailedIsTaken() throws IOException {
    leaveEmptyThings();
    try (RunDirectory directory = RunDirectory.create(folder)) {
      assertEquals(folder, directory.folder());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "metrics.jsonl",
        "steps.jsonl",
        "model.safetensors",
        "listeners.properties",
        "checkpoints/step-0000000000.safetensors",
        "checkpoints/abandoned",
        "tensorboard/events.of.another"
      })
  void aFolderWithAResultIsNot(String result) throws IOException {
    leaveEmptyThings();
    Files.writeString(folder.resolve(result), "precious");
    ActclipException e = assertThrows(ActclipException.class, () -> RunDirectory.create(folder));
    assertTrue(e.isBadInput());
    assertEquals(
        folder
            + " already holds the results of a training ("
            + result.replaceAll("/.*", "")
            + "): name another folder",
        e.getMessage());
    assertEquals("precious", Files.readString(folder.resolve(result)));
  }

  @Test
  void aFolderWithPointsForTensorBoardIsNot() throws IOException {
    leaveEmptyThings();
    try (EventFile events =
        new EventFile(folder.resolve("tensorboard/events.out.tfevents.7"), 1, Clock.systemUTC())) {
      events.addScalar("loss/step", 1, 1);
    }
    assertThrows(ActclipException.class, () -> RunDirectory.create(folder));
  }

  private void leaveEmptyThings() throws IOException {
    for (String name : List.of("checkpoints", "tensorboard")) {
      Files.createDirectory(folder.resolve(name));
    }
    for (String name :
        List.of(
            "metrics.jsonl", "steps.jsonl", "checkpoints/.lock", "checkpoints/.step-1.0.part")) {
      Files.createFile(folder.resolve(name));
    }
    new EventFile(folder.resolve("tensorboard/events.out.tfevents.5"), 1, Clock.systemUTC())
        .close();
  }

  @Test
  void ofTwoAtOnceOneGetsTheFolder() {
    try (RunDirectory first = RunDirectory.create(folder)) {
      assertEquals(folder, first.folder());
      assertThrows(ActclipException.class, () -> RunDirectory.create(folder));
    }
    RunDirectory.create(folder).close();
  }

  @Test
  void ofManyAtOnceEachGetsANewFolder() {
    Path wanted = folder.resolve("runs/20260101-120000");
    List<CompletableFuture<Path>> all =
        IntStream.range(0, 12)
            .mapToObj(
                i -> CompletableFuture.supplyAsync(() -> RunDirectory.createNew(wanted).folder()))
            .toList();
    Set<String> names = new TreeSet<>();
    all.forEach(one -> names.add(one.join().getFileName().toString()));
    assertEquals(12, names.size());
    assertTrue(names.contains("20260101-120000"), names.toString());
    assertTrue(names.contains("20260101-120000-12"), names.toString());
  }

  @Test
  void whatIsDiscardedLeavesNothingOfItsOwn() throws IOException {
    Path made = folder.resolve("made");
    RunDirectory.create(made).discard();
    assertFalse(Files.exists(made));

    leaveEmptyThings();
    Files.writeString(folder.resolve("notes"), "precious");
    Files.writeString(folder.resolve("listeners.properties"), "");
    RunDirectory directory = RunDirectory.create(folder);
    Files.writeString(folder.resolve("checkpoints/step-0000000000.safetensors"), "first");
    directory.discard();
    assertEquals(List.of("notes"), List.of(folder.toFile().list()));
  }

  /** It may be a link, or where a disk is mounted, which cannot be deleted. */
  @Test
  void aFolderThatWasThereStaysWhenATrainingIsDiscarded() throws IOException {
    Path link =
        Files.createSymbolicLink(
            folder.resolve("link"), Files.createDirectory(folder.resolve("own")));
    RunDirectory.create(link).discard();
    assertTrue(Files.isSymbolicLink(link));
    assertEquals(0, link.toFile().list().length);
  }
}
