package io.github.actclip.train;

import io.github.actclip.optim.GradScaler;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.util.List;

/**
 * Where a training stands between two steps: with the parameters and the optimizer's state, all
 * that its continuation depends on.
 *
 * @param step steps done
 * @param epoch whole epochs done
 * @param batch batches done in the epoch under way
 * @param sums of the epoch under way
 * @param phases of the epoch under way
 * @param learningRate of the last step
 * @param thresholdGradient of the last step
 * @param gradientScale of the {@link GradScaler}; 0 where there is none
 * @param growthTracker likewise
 * @param epochs the whole epochs
 */
@Internal
public record TrainingProgress(
    long step,
    int epoch,
    int batch,
    RunningMetrics.Sums sums,
    PhaseSeconds phases,
    double learningRate,
    double thresholdGradient,
    double gradientScale,
    int growthTracker,
    List<EpochMetrics> epochs) {

  /** Checks the values. */
  public TrainingProgress {
    epochs = List.copyOf(epochs);
    requireNotNegative("step", step);
    requireNotNegative("epoch", epoch);
    requireNotNegative("batch", batch);
    requireNotNegative("images", sums.images());
    if (epochs.size() != epoch) {
      throw ActclipException.badInput("after %d epochs there are %d", epoch, epochs.size());
    }
  }

  private static void requireNotNegative(String name, long value) {
    if (value < 0) {
      throw ActclipException.badInput("%s (%d) must be at least 0", name, value);
    }
  }
}
