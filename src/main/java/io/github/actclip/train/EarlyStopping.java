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
   *     in the unit of the loss; at least 0
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
    List<Double> losses = training.epochs().stream().map(EpochMetrics::testLoss).toList();
    if (training.isComplete() || training.isStopping() || !isOver(losses)) {
      return;
    }
    int best = best(losses);
    LOG.info(
        "The training ends early: the test loss was best, {}, after epoch {}, and is {} after epoch"
            + " {}",
        losses.get(best - 1).floatValue(),
        best,
        losses.get(losses.size() - 1).floatValue(),
        losses.size());
    training.stop();
  }

  /**
   * Whether a training should end, for a loop of one's own.
   *
   * @param testLosses after each epoch so far
   */
  public boolean isOver(List<Double> testLosses) {
    return !testLosses.isEmpty() && testLosses.size() - best(testLosses) >= patience;
  }

  /** The epoch with the best loss, from 1. */
  private int best(List<Double> losses) {
    int best = 0;
    for (int i = 1; i < losses.size(); i++) {
      if (losses.get(i) < losses.get(best) - minDelta) {
        best = i;
      }
    }
    return best + 1;
  }
}
