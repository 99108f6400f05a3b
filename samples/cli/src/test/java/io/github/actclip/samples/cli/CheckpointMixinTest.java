package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.checkpoint.CheckpointOptions;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** A training that goes on is watched as it was, but for what is said anew. */
class CheckpointMixinTest {

  /** A command line. */
  @Command
  private static final class Given {
    @Mixin private CheckpointMixin checkpoints;
    @Mixin private ListenerMixin listeners;
  }

  @TempDir private Path folder;

  @Test
  void whatIsNotSaidAgainIsRemembered() {
    remember("--early-stopping=3 --tensorboard --checkpoint-every 5 --checkpoint-minutes=0.5");
    assertWatched(
        recall("--keep-checkpoints=9"),
        1,
        true,
        new CheckpointOptions(5, Duration.ofSeconds(30), 9));
  }

  @Test
  void whatIsSaidAgainCounts() {
    remember("--tensorboard --checkpoint-every=5 --keep-checkpoints=2");
    assertWatched(
        recall("--tensorboard --checkpoint-every=7 --early-stopping=1"),
        1,
        true,
        new CheckpointOptions(7, Duration.ofMinutes(10), 2));
  }

  @Test
  void whatWasSaidAtABreakIsRememberedAtTheNext() {
    remember("--checkpoint-every=5 --tensorboard");
    recall("--checkpoint-every=7 --early-stopping=2").checkpoints.remember(folder);
    assertWatched(
        recall("--keep-checkpoints=9"),
        1,
        true,
        new CheckpointOptions(7, Duration.ofMinutes(10), 9));
  }

  @Test
  void aNewTrainingDoesNotTakeWhatAnOldOneLeft() {
    remember("--tensorboard --checkpoint-every=5");
    remember("--keep-checkpoints=4 --checkpoint-every=6");
    assertWatched(recall(""), 0, false, new CheckpointOptions(6, Duration.ofMinutes(10), 4));
  }

  @Test
  void whatWasNotSaidStaysAsByDefault() {
    remember("--stop-after-epoch=1");
    assertWatched(recall(""), 0, false, CheckpointOptions.defaults());
  }

  /** As for a training that an older version began. */
  @Test
  void nothingIsRememberedOfAFolderThatHasNothing() {
    assertWatched(recall("--tensorboard"), 0, true, CheckpointOptions.defaults());
  }

  private void remember(String args) {
    parse(args).checkpoints.remember(folder);
  }

  private Given recall(String args) {
    Given given = parse(args + " --resume=" + folder);
    given.checkpoints.recall(folder);
    return given;
  }

  private static void assertWatched(
      Given given, int stoppers, boolean tensorBoard, CheckpointOptions options) {
    TensorScope.run(() -> assertEquals(1 + stoppers, given.listeners.judges(new Net()).size()));
    assertEquals(tensorBoard, given.listeners.tensorBoard());
    assertEquals(options, given.checkpoints.options());
  }

  private static Given parse(String args) {
    Given given = new Given();
    new CommandLine(given)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .parseArgs(args.strip().split(" "));
    return given;
  }
}
