package io.github.actclip.report;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.UnknownFieldSet;
import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.checkpoint.Checkpointer;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.io.SealedTensors;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.Resources;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.LogCapture;
import io.github.actclip.train.ShortTraining;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which training a checkpoint is of, and what one leaves that goes on. */
class CheckpointRunTest {

  private static final ImageDataset IMAGES = ShortTraining.IMAGES;
  private static final URL OLD =
      CheckpointRunTest.class.getResource("/fixtures/format1/checkpoint.json");
  private static final CheckpointOptions OFTEN = new CheckpointOptions(5, Duration.ofHours(1), 100);

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

  @Test
  void aFolderOfAnotherTrainingIsRefusedBeforeAnythingIsWritten() throws IOException {
    fit(folder, ShortTraining.options(1, 0.05), ShortTraining.stopAfter(3));
    Map<Path, String> before = contents();
    ActclipException e =
        assertThrows(ActclipException.class, () -> fit(folder, ShortTraining.options(1, 0.05)));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(" is of another training: name another"), e.getMessage());
    assertEquals(before, contents());
  }

  @Test
  void noneOfTwoTrainingsIsTheNewest() throws IOException {
    fit(folder.resolve("a"), ShortTraining.options(1, 0.05), ShortTraining.stopAfter(3));
    fit(folder.resolve("b"), ShortTraining.options(1, 0.05), ShortTraining.stopAfter(7));
    Path other = files(folder.resolve("b/checkpoints")).get(0);
    Path mixed = folder.resolve("a/checkpoints");
    Files.copy(other, mixed.resolve(other.getFileName()));
    ActclipException e = assertThrows(ActclipException.class, () -> Checkpoint.newest(mixed));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(" are of different trainings: "), e.getMessage());
    assertEquals(7, Checkpoint.read(mixed.resolve(other.getFileName())).step());
  }

  @Test
  void whatGoesOnFromAnOlderOneIsTheNewestAndTheLaterOnesAreKept() {
    fit(folder, ShortTraining.options(2, 0.05), ShortTraining.stopAfter(20));
    Path checkpoints = folder.resolve("checkpoints");
    Checkpoint older = Checkpoint.read(checkpoints.resolve("step-0000000010.safetensors"));
    try (LogCapture log = new LogCapture(Checkpoint.class.getPackageName())) {
      resume(older, older.options(), ShortTraining.stopAfter(13));
      assertEquals(1, log.lines().size(), log.lines().toString());
    }
    assertEquals(13, Checkpoint.newest(checkpoints).orElseThrow().step());
    assertEquals(List.of(13L, 10L, 5L, 0L), steps(checkpoints));
    Path abandoned = checkpoints.resolve("abandoned");
    assertEquals(List.of(20L, 15L), steps(abandoned));
    assertEquals(20, Checkpoint.newest(abandoned).orElseThrow().step());

    Checkpoint again = Checkpoint.read(checkpoints.resolve("step-0000000005.safetensors"));
    resume(again, again.options(), ShortTraining.stopAfter(6));
    assertEquals(List.of(6L, 5L, 0L), steps(checkpoints));
    assertEquals(List.of(20L, 15L), steps(abandoned));
    assertEquals(List.of(13L, 10L), steps(checkpoints.resolve("abandoned-2")));
  }

  /** Its state is what an older version wrote of this training; that before it had no run. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void oneOfAnOlderVersionGoesOnToTheSameBits(boolean hasRun) throws IOException {
    Net straight = fit(folder.resolve("straight"), ShortTraining.options(2, 0.05));
    fit(folder, ShortTraining.options(2, 0.05), ShortTraining.stopAfter(22));
    Path checkpoints = folder.resolve("checkpoints");
    for (Path file : files(checkpoints).subList(1, files(checkpoints).size())) {
      Files.delete(file);
    }
    String old = new String(Resources.read(OLD), UTF_8);
    String state = hasRun ? old : old.replaceFirst("\"run\":\"[-0-9a-f]{36}\",", "");
    assertEquals(hasRun, state.contains("\"run\""), state);
    rewrite(files(checkpoints).get(0), state);
    Checkpoint newest = Checkpoint.newest(checkpoints).orElseThrow();
    assertEquals(NetOptions.original().toJson(), newest.notes().get("actclip.net"));
    Net resumed = resume(newest, newest.options());
    Map<String, Tensor> other = StateDict.of(resumed);
    StateDict.of(straight).forEach((name, value) -> Bits.assertSame(value, other.get(name), name));
    assertEquals(32, Checkpoint.newest(checkpoints).orElseThrow().step());
    assertThrows(ActclipException.class, () -> fit(folder, ShortTraining.options(1, 0.05)));
  }

  /** Which nothing else in the file would tell. */
  @Test
  void anOldOneOfANetThatLearnsOtherwiseIsRefused() {
    fit(folder, ShortTraining.options(1, 0.05), ShortTraining.stopAfter(3));
    Path file = files(folder.resolve("checkpoints")).get(0);
    String old = new String(Resources.read(OLD), UTF_8);
    assertTrue(old.contains("\"rule\":\"SUM\""), old);
    rewrite(file, old.replace("\"rule\":\"SUM\"", "\"rule\":\"MEAN\""));
    Checkpoint checkpoint = Checkpoint.read(file);
    Trainer trainer =
        new Trainer(new Net(), checkpoint.options(), Devices.of("cpu"))
            .note("actclip.net", NetOptions.original().toJson());
    ActclipException e =
        assertThrows(
            ActclipException.class, () -> trainer.resume(checkpoint::restore, IMAGES, IMAGES));
    assertTrue(e.getMessage().contains("it had the note actclip.net {"), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"format\":3,\"actclip\":\"9.9\"}",
        "{\"actclip\":\"9.9\",\"net\":[],\"progress\":\"elsewhere\",\"format\":3}"
      })
  void oneOfTheFutureIsRefusedByItsNumber(String future) {
    fit(folder, ShortTraining.options(1, 0.05), ShortTraining.stopAfter(3));
    Path file = files(folder.resolve("checkpoints")).get(0);
    rewrite(file, future);
    List<Executable> readers =
        List.of(() -> Checkpoint.read(file), () -> Checkpoint.newest(file.getParent()));
    for (Executable reader : readers) { // An older one beside it would be another training's start.
      assertTrue(files(file.getParent()).size() > 1);
      ActclipException e = assertThrows(ActclipException.class, reader);
      assertTrue(e.isBadInput());
      assertEquals(
          file
              + " has the format 3, and this version of actclip reads up to 2: it was written by 9.9",
          e.getMessage());
    }
  }

  @ParameterizedTest
  @EnumSource(LearningRateSchedule.Type.class)
  void aTrainingGoesOnForMoreEpochsThanWerePlanned(LearningRateSchedule.Type type) {
    LearningRateSchedule schedule = LearningRateSchedule.of(type);
    TrainerOptions shorter = ShortTraining.options(1, 0.05).toBuilder().schedule(schedule).build();
    TrainerOptions longer = shorter.toBuilder().epochs(2).build();
    List<Double> rates = new ArrayList<>();
    TrainingListener watcher =
        new TrainingListener() {
          @Override
          public void onStep(Training training) {
            rates.add(training.learningRate());
          }
        };
    Net straight = fit(folder.resolve("straight"), longer, watcher);
    List<Double> expected = List.copyOf(rates.subList(16, 32));
    rates.clear();

    fit(folder, shorter);
    Checkpoint end = Checkpoint.newest(folder.resolve("checkpoints")).orElseThrow();
    boolean depends = type.name().matches("COSINE|ONE_CYCLE");
    Net resumed;
    try (LogCapture log = new LogCapture(Checkpoint.class.getPackageName())) {
      resumed = resume(end, longer, watcher);
      assertEquals(depends ? 1 : 0, log.lines().size(), log.lines().toString());
    }
    assertEquals(expected, rates);
    if (!depends) {
      Map<String, Tensor> other = StateDict.of(resumed);
      StateDict.of(straight)
          .forEach((name, value) -> Bits.assertSame(value, other.get(name), name));
    }
    Checkpoint last = Checkpoint.newest(folder.resolve("checkpoints")).orElseThrow();
    assertEquals(longer, last.options());
    assertEquals(32, last.step());
  }

  @Test
  void fewerEpochsThanWereBegunAreRefused() {
    TrainerOptions options = ShortTraining.options(3, 0.05);
    fit(folder, options, ShortTraining.stopAfter(20));
    Checkpoint second = Checkpoint.newest(folder.resolve("checkpoints")).orElseThrow();
    TrainerOptions one = options.toBuilder().epochs(1).build();
    ActclipException e = assertThrows(ActclipException.class, () -> resume(second, one));
    assertTrue(e.isBadInput());
    assertTrue(
        e.getMessage().endsWith(" is of epoch 2: a training of 1 epochs cannot go on from it"),
        e.getMessage());
    resume(second, options.toBuilder().epochs(2).build());
    assertEquals(32, Checkpoint.newest(folder.resolve("checkpoints")).orElseThrow().step());
  }

  /** Stopped in the middle of an epoch, killed in the next, and at the end asked for one more. */
  @Test
  void stepsAndEventsAreThoseOfATrainingWithoutABreak() throws IOException {
    TrainerOptions options = ShortTraining.options(3, 0.05);
    Path straight = folder.resolve("straight");
    fit(straight, options);

    fit(folder, options.toBuilder().epochs(2).build(), ShortTraining.stopAfter(13));
    TrainerOptions two = options.toBuilder().epochs(2).build();
    Path checkpoints = folder.resolve("checkpoints");
    assertThrows(
        Killed.class,
        () -> resume(Checkpoint.newest(checkpoints).orElseThrow(), two, killAfter(24)));
    Files.writeString(
        folder.resolve(StepLog.FILE),
        "{\"step\":33,\"learn",
        java.nio.file.StandardOpenOption.APPEND);
    List<Path> events = eventFiles(folder);
    Files.write(events.get(1), new byte[] {24, 0, 0}, java.nio.file.StandardOpenOption.APPEND);
    resume(Checkpoint.newest(checkpoints).orElseThrow(), two, ShortTraining.stopAfter(25));
    resume(Checkpoint.newest(checkpoints).orElseThrow(), two);
    resume(Checkpoint.newest(checkpoints).orElseThrow(), options);

    assertEquals(
        Files.readString(straight.resolve(StepLog.FILE)),
        Files.readString(folder.resolve(StepLog.FILE)));
    Map<String, Map<Long, Float>> expected = points(straight);
    assertEquals(3, expected.get("loss/test").size());
    assertEquals(6, expected.get("loss/step").size());
    assertEquals(expected, points(folder));
  }

  /** Every number but that of the time, none of them twice, in the order of the files. */
  private static Map<String, Map<Long, Float>> points(Path run) throws IOException {
    Map<String, Map<Long, Float>> all = new TreeMap<>();
    for (Path file : eventFiles(run)) {
      List<UnknownFieldSet> events = EventRecords.parse(Files.readAllBytes(file));
      for (String tag :
          List.of(
              "loss/step",
              "learning_rate",
              "threshold/act_max",
              "threshold_gradient/act_max",
              "loss/train",
              "loss/test",
              "accuracy/test",
              "clip_rate")) {
        EventRecords.scalars(events, tag)
            .forEach(
                (step, value) ->
                    assertEquals(
                        null,
                        all.computeIfAbsent(tag, t -> new TreeMap<>()).put(step, value),
                        tag + " of step " + step + " is there twice"));
      }
    }
    return all;
  }

  private static List<Path> eventFiles(Path run) throws IOException {
    try (Stream<Path> files = Files.list(run.resolve("tensorboard"))) {
      return files.sorted().toList();
    }
  }

  /** Without the lock, which is opened. */
  private Map<Path, String> contents() throws IOException {
    Map<Path, String> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        contents.put(file, java.util.HexFormat.of().formatHex(Files.readAllBytes(file)));
      }
    }
    return contents;
  }

  private static List<Long> steps(Path checkpoints) {
    return files(checkpoints).stream().map(CheckpointRunTest::stepOf).toList();
  }

  /** Newest first. */
  private static List<Path> files(Path checkpoints) {
    try (Stream<Path> all = Files.list(checkpoints)) {
      return all.filter(file -> file.toString().endsWith(".safetensors"))
          .sorted(Comparator.reverseOrder())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long stepOf(Path file) {
    return Long.parseLong(file.getFileName().toString().replaceAll("\\D", ""));
  }

  private static String state(Path file) {
    return SealedTensors.read(file).metadata().get("training");
  }

  private static void rewrite(Path file, String state) {
    new SealedTensors(SealedTensors.read(file).tensors(), Map.of("training", state)).write(file);
  }

  private static Net fit(Path run, TrainerOptions options, TrainingListener... first) {
    torch.manual_seed(3);
    Net net = new Net();
    train(run, null, net, options, first);
    return net;
  }

  private Net resume(Checkpoint from, TrainerOptions options, TrainingListener... first) {
    Net net = new Net();
    from.load(net);
    train(folder, from, net, options, first);
    return net;
  }

  private static void train(
      Path run, Checkpoint from, Net net, TrainerOptions options, TrainingListener... first) {
    try (StepLog steps = new StepLog(run);
        TensorBoardListener board = new TensorBoardListener(run);
        Checkpointer checkpointer = new Checkpointer(run.resolve("checkpoints"), OFTEN)) {
      List<TrainingListener> listeners = new ArrayList<>(List.of(steps, board));
      listeners.addAll(List.of(first));
      listeners.add(checkpointer);
      Trainer trainer =
          new Trainer(net, options, Devices.of("cpu"))
              .with(listeners.toArray(TrainingListener[]::new));
      if (from == null) {
        trainer.fit(IMAGES, IMAGES);
      } else {
        trainer.resume(from::restore, IMAGES, IMAGES);
      }
    }
  }
}
