package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.data.Preprocessing;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.OwnNetwork;
import io.github.actclip.testing.SmallTraining;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Who gets a folder, and what goes on in it. */
class RunTest {

  private static final CheckpointOptions OFTEN = new CheckpointOptions(2, Duration.ofHours(1), 3);

  static {
    LibTorch.load();
  }

  @TempDir Path folder;

  /** What a process that is killed leaves: nothing of the end of a training. */
  private static final class Killed extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private static TrainingListener killAfter(long step) {
    return new TrainingListener() {
      @Override
      public void onStep(Training training) {
        if (training.step() == step) {
          throw new Killed();
        }
      }
    };
  }

  private static TrainingListener stopAtStart() {
    return new TrainingListener() {
      @Override
      public void onStart(Training training) {
        training.stop();
      }
    };
  }

  private static List<EpochMetrics> fit(
      Path run, OwnNetwork kind, Network network, TrainingListener... first) {
    return fit(Run.in(run).checkpoints(OFTEN).tensorBoard(), kind, network, first);
  }

  private static List<EpochMetrics> fit(
      Run run, OwnNetwork kind, Network network, TrainingListener... first) {
    try (run;
        SmallTraining training = new SmallTraining(kind)) {
      return training
          .trainer(network)
          .note("about", "ünïcode")
          .with(first)
          .with(run)
          .fit(training.data(), training.data());
    }
  }

  private static List<EpochMetrics> fit(Run run, TrainingListener... first) {
    return fit(run, OwnNetwork.MLP, OwnNetwork.MLP.make(), first);
  }

  @ParameterizedTest
  @EnumSource(OwnNetwork.class)
  void aTrainingThatIsKilledGoesOnByItselfToTheSameBits(OwnNetwork kind) throws IOException {
    Path straight = folder.resolve("straight");
    List<EpochMetrics> expected = fit(straight, kind, kind.make());
    Path broken = folder.resolve("broken");
    for (long step : new long[] {3, 5, 8}) {
      Network network = kind.make();
      assertThrows(Killed.class, () -> fit(broken, kind, network, killAfter(step)));
    }
    List<EpochMetrics> epochs = fit(broken, kind, kind.make());
    assertEquals(
        expected.stream().map(EpochMetrics::test).toList(),
        epochs.stream().map(EpochMetrics::test).toList());
    for (String file : List.of(Run.MODEL, StepLog.FILE)) {
      assertEquals(-1, Files.mismatch(straight.resolve(file), broken.resolve(file)), file);
    }
    Map<String, String> texts = withoutMeanings(StateDict.readMetadata(broken.resolve(Run.MODEL)));
    Set<String> names = Set.of("format", "about", Preprocessing.NOTE);
    assertEquals(names, texts.keySet());
    assertEquals("ünïcode", texts.get("about"));
    RunSummary summary = RunSummary.read(broken);
    assertEquals(kind.make().getClass().getSimpleName(), summary.network());
    assertEquals(kind.loss.text(), summary.loss());
    assertFalse(summary.stopped());
    assertConfusion(kind, summary);
    assertTrue(Files.readString(broken.resolve(Run.REPORT)).contains("ünïcode"));
  }

  /** The diagonal is what the accuracy counts. */
  private static void assertConfusion(OwnNetwork kind, RunSummary summary) {
    List<List<Long>> counts = summary.confusion().counts();
    int classes =
        switch (kind) {
          case CONV, QUANTIZED, RESNET, SCRIPTED -> 5;
          case MLP, QUANTIZED_MLP -> 0;
          case BRANCHES, QUANTIZED_BRANCHES -> 3;
        };
    assertEquals(classes, counts.size());
    if (kind == OwnNetwork.CONV) {
      double right = IntStream.range(0, classes).mapToLong(i -> counts.get(i).get(i)).sum();
      assertEquals(summary.last().test().get("accuracy"), right / summary.testSamples(), 1e-12);
    }
  }

  private static Map<String, String> withoutMeanings(Map<String, String> texts) {
    Map<String, String> others = new TreeMap<>(texts);
    others.keySet().removeIf(name -> name.startsWith("actclip.meaning"));
    return others;
  }

  @Test
  void aFileOfTheUsersIsNoLeftover() throws IOException {
    Path own = folder.resolve("checkpoints/.mine");
    Files.createDirectories(own.getParent());
    Files.writeString(own, "precious");
    ActclipException e =
        assertThrows(ActclipException.class, () -> fit(Run.in(folder), killAfter(1)));
    assertTrue(e.getMessage().contains("(checkpoints): name another folder"), e.getMessage());
    assertEquals("precious", Files.readString(own));
  }

  @Test
  void aLinkOfTheUsersStays() throws IOException {
    Path elsewhere = Files.createDirectory(folder.resolve("elsewhere"));
    Path run = Files.createDirectory(folder.resolve("run"));
    Files.createSymbolicLink(run.resolve("checkpoints"), elsewhere);
    TrainingListener failing =
        new TrainingListener() {
          @Override
          public void onStart(Training training) {
            throw new Killed();
          }
        };
    try (SmallTraining training = new SmallTraining(OwnNetwork.MLP);
        Run opened = Run.in(run)) {
      Trainer trainer = training.trainer(OwnNetwork.MLP.make()).with(opened, failing);
      assertThrows(Killed.class, () -> trainer.fit(training.data(), training.data()));
    }
    assertTrue(Files.isSymbolicLink(run.resolve("checkpoints")));
    try (Stream<Path> left = Files.list(elsewhere)) {
      assertEquals(0, left.count());
    }
  }

  @Test
  void aRunThatIsOverBeginsNoTrainingAndLeavesNoLock() {
    try (SmallTraining training = new SmallTraining(OwnNetwork.MLP)) {
      Trainer trainer = training.trainer(OwnNetwork.MLP.make());
      try (Run run = Run.in(folder)) {
        trainer.with(run).fit(training.data(), training.data());
      }
      try (Run run = Run.in(folder)) {
        ActclipException e =
            assertThrows(
                ActclipException.class,
                () -> trainer.with(run).fit(training.data(), training.data()));
        assertTrue(e.getMessage().contains("has begun by this Run"), e.getMessage());
      }
    }
    assertEquals(3, fit(folder, OwnNetwork.MLP, OwnNetwork.MLP.make()).size());
  }

  @Test
  void anOlderCheckpointThatIsAskedForIsGoneOnFrom() {
    Network killed = OwnNetwork.MLP.make();
    assertThrows(Killed.class, () -> fit(folder, OwnNetwork.MLP, killed, killAfter(11)));
    Checkpoint newest = Run.newest(folder);
    try (Run run = Run.in(folder);
        SmallTraining training = new SmallTraining(OwnNetwork.MLP)) {
      List<Long> began = new ArrayList<>();
      TrainingListener watcher =
          new TrainingListener() {
            @Override
            public void onStart(Training started) {
              began.add(started.step());
            }
          };
      Path older = folder.resolve("checkpoints/step-0000000006.safetensors");
      assertTrue(newest.step() > 6, newest.file() + "");
      training
          .trainer(OwnNetwork.MLP.make())
          .note("about", "ünïcode")
          .with(watcher)
          .with(run)
          .resume(Checkpoint.read(older)::restore, training.data(), training.data());
      assertEquals(List.of(6L), began);
    }
  }

  @Test
  void aCompleteTrainingIsLeftAsItIsAndOneThatIsLongerGoesOn() throws IOException {
    List<EpochMetrics> epochs = fit(Run.in(folder));
    Map<Path, String> before = contents();
    assertEquals(epochs, fit(Run.in(folder).tensorBoard()));
    assertEquals(before, contents());

    try (Run run = Run.in(folder);
        SmallTraining training = new SmallTraining(OwnNetwork.MLP)) {
      List<EpochMetrics> longer = training.longer().with(run).fit(training.data(), training.data());
      assertEquals(epochs, longer.subList(0, epochs.size()));
      assertEquals(epochs.size() + 1, longer.size());
      assertEquals(longer.size(), Files.readAllLines(folder.resolve("metrics.jsonl")).size());
    }
  }

  @Test
  void whatStopsAtOnceLeavesTheResultsAlone() throws IOException {
    assertThrows(Killed.class, () -> fit(Run.in(folder), killAfter(9)));
    String summary = Files.readString(folder.resolve("summary.json"));
    fit(Run.in(folder), stopAtStart());
    assertEquals(summary, Files.readString(folder.resolve("summary.json")));
    assertFalse(Files.exists(folder.resolve(Run.REPORT)));
  }

  @ParameterizedTest
  @CsvSource({
    "network, it had the network Mlp",
    "options, is of another training: it had the options",
    "data, is of another training: it had other training data",
  })
  void aFolderOfAnotherTrainingIsRefused(String other, String reason) throws IOException {
    fit(Run.in(folder), new TrainingListener() {});
    Map<Path, String> before = contents();
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> {
              OwnNetwork kind = other.equals("network") ? OwnNetwork.BRANCHES : OwnNetwork.MLP;
              try (Run run = Run.in(folder);
                  SmallTraining training = new SmallTraining(kind)) {
                (other.equals("options") ? training.faster() : training.trainer(kind.make()))
                    .with(run)
                    .fit(
                        other.equals("data") ? training.otherData() : training.data(),
                        training.data());
              }
            });
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(reason.replace("\\", "")), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
    assertEquals(before, contents());
  }

  @Test
  void anOlderSummaryIsRead() throws IOException {
    try (var old = RunTest.class.getResourceAsStream("/fixtures/format1/summary.json")) {
      Files.copy(old, folder.resolve("summary.json"));
    }
    RunSummary summary = RunSummary.read(folder);
    assertEquals("Net", summary.network());
    assertEquals(250, summary.trainSamples());
    assertEquals(NetOptions.original(), NetOptions.fromJson(summary.notes().get("actclip.net")));
    assertEquals(0.05, summary.options().optimizer().learningRate());
    EpochMetrics last = summary.last();
    assertEquals(22, last.step());
    assertEquals(ConfusionMatrix.NONE, summary.confusion());
    assertEquals(Map.of("loss", 0.9610857963562012, "accuracy", 0.6), last.test());
    assertEquals(0.9258217215538025, last.thresholds().get("act_max").threshold());
    assertTrue(Report.html(summary, List.of(last), List.of()).contains("activation form"));
  }

  @Test
  void aFolderInWhichAStartFailedIsTaken() throws IOException {
    leaveEmptyThings();
    fit(Run.create(folder));
    assertTrue(Files.exists(folder.resolve(Run.REPORT)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "metrics.jsonl",
        "steps.jsonl",
        "model.safetensors",
        "module.pt",
        "listeners.properties",
        "checkpoints/abandoned",
        "tensorboard/events.of.another"
      })
  void aFolderWithAResultAndNoCheckpointIsNot(String result) throws IOException {
    leaveEmptyThings();
    Files.writeString(folder.resolve(result), "precious");
    for (Run run : List.of(Run.in(folder), Run.create(folder))) {
      ActclipException e = assertThrows(ActclipException.class, () -> fit(run));
      assertTrue(e.isBadInput());
      assertEquals(
          folder
              + " already holds the results of a training ("
              + result.replaceAll("/.*", "")
              + "): name another folder",
          e.getMessage());
      assertEquals("precious", Files.readString(folder.resolve(result)));
    }
  }

  @Test
  void aFolderWithACheckpointIsNoneForANewTraining() throws IOException {
    leaveEmptyThings();
    Files.writeString(folder.resolve("checkpoints/step-0000000000.safetensors"), "precious");
    assertThrows(ActclipException.class, () -> fit(Run.create(folder)));
    ActclipException e = assertThrows(ActclipException.class, () -> fit(Run.in(folder)));
    assertEquals("none of the checkpoints of " + folder + " is whole", e.getMessage());
    assertThrows(ActclipException.class, () -> Run.newest(folder.resolve("nowhere")));
  }

  @Test
  void aFolderWithPointsForTensorBoardIsNot() throws IOException {
    leaveEmptyThings();
    try (EventFile events =
        new EventFile(folder.resolve("tensorboard/events.out.tfevents.7"), 1, Clock.systemUTC())) {
      events.addScalar("loss/step", 1, 1);
    }
    assertThrows(ActclipException.class, () -> fit(Run.create(folder)));
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
    TrainingListener another =
        new TrainingListener() {
          @Override
          public void onEpoch(Training training, EpochMetrics metrics) {
            for (Run run : List.of(Run.in(folder), Run.create(folder))) {
              assertTrue(assertThrows(ActclipException.class, () -> fit(run)).isBadInput());
            }
          }
        };
    int epochs = fit(Run.in(folder), another).size();
    assertEquals(epochs, fit(Run.in(folder)).size());
  }

  @Test
  void aRunIsForOneTraining() {
    try (Run run = Run.in(folder);
        SmallTraining training = new SmallTraining(OwnNetwork.MLP)) {
      training.trainer(OwnNetwork.MLP.make()).with(run).fit(training.data(), training.data());
      ActclipException e =
          assertThrows(
              ActclipException.class,
              () ->
                  training
                      .trainer(OwnNetwork.MLP.make())
                      .with(run)
                      .fit(training.data(), training.data()));
      assertTrue(e.getMessage().contains("make another one"), e.getMessage());
    }
  }

  @Test
  void ofManyAtOnceEachGetsANewFolder() {
    Path wanted = folder.resolve("runs/20260101-120000");
    List<CompletableFuture<Path>> all =
        IntStream.range(0, 6)
            .mapToObj(i -> CompletableFuture.supplyAsync(() -> inNew(wanted)))
            .toList();
    Set<String> names = new TreeSet<>();
    all.forEach(one -> names.add(one.join().getFileName().toString()));
    assertEquals(6, names.size());
    assertTrue(names.contains("20260101-120000"), names.toString());
    assertTrue(names.contains("20260101-120000-6"), names.toString());
  }

  private static Path inNew(Path wanted) {
    Run run = Run.createNew(wanted);
    fit(run, stopAtStart());
    return run.folder();
  }

  @Test
  void aTrainingThatFailsInItsFirstStepLeavesNothingOfItsOwn() throws IOException {
    Path made = folder.resolve("made");
    assertThrows(Killed.class, () -> fit(Run.in(made), killAfter(1)));
    assertFalse(Files.exists(made));

    leaveEmptyThings();
    Files.writeString(folder.resolve("notes"), "precious");
    Files.writeString(folder.resolve("listeners.properties"), "");
    assertThrows(Killed.class, () -> fit(Run.in(folder), killAfter(1)));
    assertEquals(List.of("notes"), List.of(folder.toFile().list()));
  }

  @Test
  void aTrainingThatStopsBeforeItsFirstStepCanGoOn() {
    assertEquals(List.of(), fit(Run.in(folder), stopAtStart()));
    assertEquals(0, Run.newest(folder).step());
    assertFalse(fit(Run.in(folder)).isEmpty());
  }

  /** It may be a link, or where a disk is mounted, which cannot be deleted. */
  @Test
  void aFolderThatWasThereStaysWhenATrainingFails() throws IOException {
    Path link =
        Files.createSymbolicLink(
            folder.resolve("link"), Files.createDirectory(folder.resolve("own")));
    assertThrows(Killed.class, () -> fit(Run.create(link), killAfter(1)));
    assertTrue(Files.isSymbolicLink(link));
    assertEquals(0, link.toFile().list().length);
  }

  private Map<Path, String> contents() throws IOException {
    Map<Path, String> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        contents.put(file, HexFormat.of().formatHex(Files.readAllBytes(file)));
      }
    }
    return contents;
  }
}
