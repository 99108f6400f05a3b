package io.github.actclip.train;

import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorScope;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.Optimizer;

/**
 * Notices thresholds that silently do not learn, or that went where no threshold makes sense:
 *
 * <ul>
 *   <li>one that is in no optimizer,
 *   <li>one that gets no gradient, though {@link Threshold#freeze} did not ask for that,
 *   <li>one that has not moved for a number of steps (its patience), with the gradient told: one of
 *       exactly 0 means that the threshold lies above all activations,
 *   <li>one that is not finite,
 *   <li>one that is not above 0 where it must be.
 * </ul>
 *
 * <p>It looks at each channel by itself, and names those, counted from 0, that have a fault where
 * others of their threshold have not: the first few of them, and how many more there are.
 *
 * <p>It looks after the first step and then every 50th, and its patience is 500 steps; see {@link
 * #with}. A frozen threshold, and one far above the activations that only weight decay moves, are
 * told in the log and never end a training.
 *
 * <p>Give it to a {@link Trainer} as a listener, or call it in a loop of your own:
 *
 * <pre>{@code
 * ThresholdWatch watch = ThresholdWatch.warning(net.thresholds());
 * ...
 * loss.backward();
 * optimizer.step();
 * watch.afterStep(optimizer); // before the next zero_grad()
 * }</pre>
 *
 * <p>It belongs to one thread, and to one training. The thresholds stay their layers', which must
 * outlive it.
 */
public final class ThresholdWatch implements TrainingListener {

  private static final Logger LOG = Loggers.of(ThresholdWatch.class);

  private static final int MOST_TOLD = 5;
  private static final int DEFAULT_EVERY = 50;
  private static final int DEFAULT_PATIENCE = 500;

  private final Map<String, Threshold> thresholds;
  private final boolean stops;
  private final int every;
  private final Map<String, WatchedThreshold> watched = new LinkedHashMap<>();
  private long steps;

  private ThresholdWatch(
      Map<String, Threshold> thresholds, boolean stops, int every, int patience) {
    this.thresholds = thresholds;
    this.stops = stops;
    this.every = every;
    thresholds.forEach(
        (name, threshold) -> watched.put(name, new WatchedThreshold(name, threshold, patience)));
  }

  /**
   * A watch that warns in the log, once for each threshold, reason and channel.
   *
   * @param thresholds by the names that they are to have in the log, such as {@link
   *     io.github.actclip.nn.Network#thresholds}
   */
  public static ThresholdWatch warning(Map<String, Threshold> thresholds) {
    return new ThresholdWatch(thresholds, false, DEFAULT_EVERY, DEFAULT_PATIENCE);
  }

  /** A watch that ends the training with a failure, thrown by {@link #afterStep}. */
  public static ThresholdWatch stopping(Map<String, Threshold> thresholds) {
    return new ThresholdWatch(thresholds, true, DEFAULT_EVERY, DEFAULT_PATIENCE);
  }

  /**
   * A watch for the same thresholds that looks more or less often.
   *
   * @param everySteps after how many steps it looks again; a look reads the thresholds, and so
   *     waits for the device
   * @param patience for how many steps a threshold may stand still
   * @throws ActclipException when one of them is below 1
   */
  public ThresholdWatch with(int everySteps, int patience) {
    requirePositive("everySteps", everySteps);
    requirePositive("patience", patience);
    return new ThresholdWatch(thresholds, stops, everySteps, patience);
  }

  /**
   * Looks, when it is time to: after a step, and before the gradients are cleared.
   *
   * @param optimizers all those that may hold the thresholds
   * @throws ActclipException bad input when an optimizer is null or was closed; a failure when this
   *     watch ends trainings, and found a reason to
   */
  public void afterStep(Optimizer... optimizers) {
    for (Optimizer optimizer : optimizers) {
      Arguments.requireOpen("the optimizer", optimizer);
    }
    steps++;
    if (steps == 1 || steps % every == 0) {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        look(List.of(optimizers));
      }
    }
  }

  @Override
  public void onStart(Training training) {
    steps = training.step();
  }

  @Override
  public void onStep(Training training) {
    afterStep(training.optimizer());
  }

  private void look(List<Optimizer> optimizers) {
    Map<Finding.Reason, Map<String, Finding>> news = new EnumMap<>(Finding.Reason.class);
    watched.forEach(
        (name, threshold) -> {
          for (Finding finding : threshold.look(steps, optimizers)) {
            if (stops && finding.reason().isFault()) {
              throw ActclipException.failure(null, finding.sentence());
            }
            if (threshold.isNew(finding)) {
              news.computeIfAbsent(finding.reason(), r -> new LinkedHashMap<>()).put(name, finding);
            }
          }
        });
    news.forEach(ThresholdWatch::tell);
  }

  /** Of many thresholds at once the first few, and the names of the others. */
  private static void tell(Finding.Reason reason, Map<String, Finding> findings) {
    findings.values().stream()
        .limit(MOST_TOLD)
        .forEach(finding -> LOG.log(reason.level(), finding.sentence()));
    List<String> others = findings.keySet().stream().skip(MOST_TOLD).toList();
    if (!others.isEmpty()) {
      LOG.log(
          reason.level(),
          "the same is so of {} other thresholds: {}",
          others.size(),
          String.join(", ", others));
    }
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw ActclipException.badInput("%s (%d) must be at least 1", name, value);
    }
  }
}
