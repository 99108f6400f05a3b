package io.github.actclip.train;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Loggers;
import java.util.List;
import org.apache.logging.log4j.Logger;

/**
 * Ends a training whose test loss no longer falls. What it does depends on the epochs alone: one
 * that went on from a checkpoint ends where it would have ended anyway. It says so in the log.
 */
public final class EarlyStopping implements TrainingListener {

  private static final Logger LOG = Loggers.of(EarlyStopping.class);

  private final int patience;
  private final double minDelta;

  /**
   * @param patience after how many epochs without a better test loss the training ends, at least 1
   * @param minDelta by how much more than that a loss must be below the best so far to be better,
   *     in nats; at least 0
   * @throws ActclipException when one of them is out of range
   */
  public EarlyStopping(int patience, double minDelta) {
    if (patience < 1) {
      throw ActclipException.badInput("patience (%d) must be at least 1", patience);
    }
    if (!(minDelta >= 0 && Double.isFinite(minDelta))) {
      throw ActclipException.badInput("minDelta (%s) must be finite and at least 0", minDelta);
    }
    this.patience = patience;
    this.minDelta = minDelta;
  }

  @Override
  public void onStart(Training training) {
    stopIfOver(training);
  }

  @Override
  public void onEpoch(Training training, EpochMetrics metrics) {
    stopIfOver(training);
  }

  private void stopIfOver(Training training) {
    List<EpochMetrics> epochs = training.epochs();
    if (training.isComplete() || training.isStopping() || !isOver(epochs)) {
      return;
    }
    EpochMetrics best = best(epochs);
    LOG.info(
        "The training ends early: the test loss was best, {}, after epoch {}, and is {} after epoch"
            + " {}",
        (float) best.testLoss(),
        best.epoch(),
        (float) epochs.get(epochs.size() - 1).testLoss(),
        epochs.size());
    training.stop();
  }

  boolean isOver(List<EpochMetrics> epochs) {
    return !epochs.isEmpty() && epochs.size() - best(epochs).epoch() >= patience;
  }

  private EpochMetrics best(List<EpochMetrics> epochs) {
    EpochMetrics best = epochs.get(0);
    for (EpochMetrics epoch : epochs) {
      if (epoch.testLoss() < best.testLoss() - minDelta) {
        best = epoch;
      }
    }
    return best;
  }
}
