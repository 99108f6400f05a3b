package io.github.actclip.samples.cli;

import io.github.actclip.nn.Network;
import io.github.actclip.train.EarlyStopping;
import io.github.actclip.train.ThresholdWatch;
import io.github.actclip.train.TrainingListener;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Options of who watches a training. */
final class ListenerMixin {

  // In steps; an epoch of the embedded images has 63.
  private static final int WATCH_EVERY = 50;
  private static final int WATCH_PATIENCE = 200;

  /** What to do when a threshold does not learn. */
  enum Watch {
    WARN,
    STOP
  }

  @Option(
      names = "--threshold-watch",
      paramLabel = "warn|stop",
      defaultValue = "warn",
      description = "What to do when a threshold does not learn (default: warn).")
  private Watch watch;

  @Option(
      names = "--early-stopping",
      paramLabel = "N",
      description =
          "Stop after N epochs in which the test loss was not below its best (default: never).")
  private Integer earlyStopping;

  @Option(
      names = "--tensorboard",
      fallbackValue = "true", // without it, picocli has the flag turn a remembered "true" around
      description = "Write event files for TensorBoard, too, into the folder tensorboard.")
  private boolean tensorBoard;

  /** What may end the training early. */
  List<TrainingListener> judges(Network network) {
    List<TrainingListener> judges = new ArrayList<>(List.of(watch(network)));
    if (earlyStopping != null) {
      judges.add(new EarlyStopping(earlyStopping, 0));
    }
    return judges;
  }

  private ThresholdWatch watch(Network network) {
    ThresholdWatch made =
        watch == Watch.STOP
            ? ThresholdWatch.stopping(network.thresholds())
            : ThresholdWatch.warning(network.thresholds());
    return made.with(WATCH_EVERY, WATCH_PATIENCE);
  }

  /** Whether event files for TensorBoard are wanted. */
  boolean tensorBoard() {
    return tensorBoard;
  }
}
