package io.github.actclip.train;

import io.github.actclip.optim.GradScaler;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.util.List;
import java.util.Map;

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
 * @param thresholdGradients of each layer's first threshold in the last step, summed over its
 *     channels, by its name
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
    Map<String, Double> thresholdGradients,
    double gradientScale,
    int growthTracker,
    List<EpochMetrics> epochs) {

  /** Checks the values. */
  public TrainingProgress {
    epochs = List.copyOf(epochs);
    requireNotNegative("step", step);
    requireNotNegative("epoch", epoch);
    requireNotNegative("batch", batch);
    requireNotNegative("samples", sums.samples());
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
