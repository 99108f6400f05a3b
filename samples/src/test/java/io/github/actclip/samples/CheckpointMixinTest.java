package io.github.actclip.samples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.nn.Net;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.CheckpointOptions;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** A training that goes on is watched as it was, but for what is said anew. */
@Command
class CheckpointMixinTest {

  @Mixin private CheckpointMixin checkpoints;
  @Mixin private ListenerMixin listeners;

  @TempDir private Path folder;

  @Test
  void whatIsNotSaidAgainIsRemembered() {
    remember("--early-stopping=3 --tensorboard --checkpoint-every 5 --checkpoint-minutes=0.5");
    recall("--keep-checkpoints=9");
    assertWatched(1, true, new CheckpointOptions(5, Duration.ofSeconds(30), 9));
  }

  @Test
  void whatIsSaidAgainCounts() {
    remember("--tensorboard --checkpoint-every=5 --keep-checkpoints=2");
    recall("--tensorboard --checkpoint-every=7 --early-stopping=1");
    assertWatched(1, true, new CheckpointOptions(7, Duration.ofMinutes(10), 2));
  }

  @Test
  void whatWasNotSaidStaysAsByDefault() {
    remember("--stop-after-epoch=1");
    recall("");
    assertWatched(0, false, CheckpointOptions.defaults());
  }

  /** As for a training that an older version began. */
  @Test
  void nothingIsRememberedOfAFolderThatHasNothing() {
    recall("--tensorboard");
    assertWatched(0, true, CheckpointOptions.defaults());
  }

  private void remember(String args) {
    parse(args);
    checkpoints.remember(folder);
  }

  private void recall(String args) {
    parse(args + " --resume=" + folder);
    checkpoints.recall(folder);
  }

  private void assertWatched(int stoppers, boolean tensorBoard, CheckpointOptions options) {
    TensorScope.run(() -> assertEquals(1 + stoppers, listeners.judges(new Net()).size()));
    assertEquals(tensorBoard, listeners.tensorBoard());
    assertEquals(options, checkpoints.options());
  }

  private void parse(String args) {
    new CommandLine(this)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .parseArgs(args.strip().split(" "));
  }
}
