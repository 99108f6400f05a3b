package io.github.actclip.optim;

import io.github.actclip.runtime.ActclipException;
import java.util.List;
import java.util.Objects;

/**
 * How the learning rate changes over a training: one of PyTorch's schedulers, with its names and
 * its defaults. The rate depends on the arguments of {@link #at} only, so that a training that is
 * resumed goes on as it would have.
 *
 * @param type which one
 * @param warmUpSteps over so many steps the rate first rises to the peak, in equal parts (arXiv
 *     1706.02677, section 2.2); the schedule begins after them. 0 for none; {@link Type#ONE_CYCLE}
 *     has a warm-up of its own
 * @param stepSize of {@link Type#STEP}: epochs from one drop to the next, at least 1
 * @param gamma of {@link Type#STEP}: the factor of each drop, above 0 and at most 1
 * @param factor of {@link Type#REDUCE_ON_PLATEAU}: that of each reduction, above 0 and below 1
 * @param patience of {@link Type#REDUCE_ON_PLATEAU}: so many epochs may go by without a better test
 *     loss, at least 0
 */
public record LearningRateSchedule(
    Type type, int warmUpSteps, int stepSize, double gamma, double factor, int patience) {

  /** Which of PyTorch's schedulers. */
  public enum Type {
    /** The same all the time. */
    CONSTANT,
    /** {@code StepLR}: times gamma every stepSize epochs. */
    STEP,
    /**
     * {@code CosineAnnealingLR}: down to 0 along half a cosine, step by step (arXiv 1608.03983,
     * equation 5, without restarts).
     */
    COSINE,
    /**
     * {@code OneCycleLR}: up from peak/25 over the first 30 % of the steps, then down to
     * peak/250,000, both along a cosine ("super-convergence", arXiv 1708.07120). A training of one
     * step takes it at the peak, where PyTorch's has its last rate only, which would learn nothing.
     */
    ONE_CYCLE,
    /**
     * {@code ReduceLROnPlateau}: times factor when for more than patience epochs no test loss was
     * below the best by 1/10,000 of it, unless the rate would fall by no more than 1e-8.
     */
    REDUCE_ON_PLATEAU
  }

  private static final int DEFAULT_STEP_SIZE = 4;
  private static final double DEFAULT_GAMMA = 0.1;
  private static final double DEFAULT_FACTOR = 0.1;
  private static final int DEFAULT_PATIENCE = 10;

  private static final double START_DIVISOR = 25;
  private static final double END_DIVISOR = 1e4;
  private static final double WARM_UP_SHARE = 0.3;

  private static final double PLATEAU_THRESHOLD = 1e-4;
  private static final double LEAST_REDUCTION = 1e-8;

  /**
   * Checks the values.
   *
   * @throws ActclipException when one is out of range, or is no option of the type
   */
  public LearningRateSchedule {
    Objects.requireNonNull(type, "type");
    require(warmUpSteps >= 0, "warmUpSteps", warmUpSteps, "at least 0");
    require(stepSize >= 1, "stepSize", stepSize, "at least 1");
    require(gamma > 0 && gamma <= 1, "gamma", gamma, "above 0 and at most 1");
    require(factor > 0 && factor < 1, "factor", factor, "above 0 and below 1");
    require(patience >= 0, "patience", patience, "at least 0");
    if (type == Type.ONE_CYCLE) {
      requireUnused("warmUpSteps", warmUpSteps, 0, "any schedule but ONE_CYCLE, which has its own");
    }
    if (type != Type.STEP) {
      requireUnused("stepSize", stepSize, DEFAULT_STEP_SIZE, "STEP");
      requireUnused("gamma", gamma, DEFAULT_GAMMA, "STEP");
    }
    if (type != Type.REDUCE_ON_PLATEAU) {
      requireUnused("factor", factor, DEFAULT_FACTOR, "REDUCE_ON_PLATEAU");
      requireUnused("patience", patience, DEFAULT_PATIENCE, "REDUCE_ON_PLATEAU");
    }
  }

  /** One with the defaults: no warm-up; a tenth every 4 epochs, or after a patience of 10. */
  public static LearningRateSchedule of(Type type) {
    return new LearningRateSchedule(
        type, 0, DEFAULT_STEP_SIZE, DEFAULT_GAMMA, DEFAULT_FACTOR, DEFAULT_PATIENCE);
  }

  /** {@link Type#STEP}. */
  public static LearningRateSchedule step(int stepSize, double gamma) {
    return new LearningRateSchedule(
        Type.STEP, 0, stepSize, gamma, DEFAULT_FACTOR, DEFAULT_PATIENCE);
  }

  /** {@link Type#REDUCE_ON_PLATEAU}. */
  public static LearningRateSchedule reduceOnPlateau(double factor, int patience) {
    return new LearningRateSchedule(
        Type.REDUCE_ON_PLATEAU, 0, DEFAULT_STEP_SIZE, DEFAULT_GAMMA, factor, patience);
  }

  /** The same after a warm-up. */
  public LearningRateSchedule withWarmUp(int steps) {
    return new LearningRateSchedule(type, steps, stepSize, gamma, factor, patience);
  }

  /**
   * The learning rate of one step.
   *
   * @param peak the highest rate
   * @param step from 0
   * @param totalSteps how many steps the training has
   * @param stepsPerEpoch how many an epoch has
   * @param testLosses of the epochs that are done, the first one first
   */
  public double at(
      double peak, long step, long totalSteps, long stepsPerEpoch, List<Double> testLosses) {
    long after = step - warmUpSteps;
    if (after < 0) {
      return peak * (step + 1) / warmUpSteps;
    }
    return switch (type) {
      case CONSTANT -> peak;
      case STEP -> peak * Math.pow(gamma, after / (stepSize * stepsPerEpoch));
      case COSINE -> cosine(peak, 0, (double) after / (totalSteps - warmUpSteps));
      case ONE_CYCLE -> oneCycle(peak, step, totalSteps);
      case REDUCE_ON_PLATEAU -> reduced(peak, testLosses);
    };
  }

  /** Whether the rate of a step depends on how many steps the training has. */
  public boolean dependsOnLength() {
    return type == Type.COSINE || type == Type.ONE_CYCLE;
  }

  /** With the options that the type has. */
  @Override
  public String toString() {
    String what =
        switch (type) {
          case STEP -> "STEP, times " + gamma + " every " + stepSize + " epochs";
          case REDUCE_ON_PLATEAU ->
              "REDUCE_ON_PLATEAU, times " + factor + " after a patience of " + patience + " epochs";
          default -> type.name();
        };
    return warmUpSteps == 0 ? what : what + ", after " + warmUpSteps + " steps of warm-up";
  }

  private static double oneCycle(double peak, long step, long totalSteps) {
    if (totalSteps < 2) {
      return peak; // There is no cycle in one step.
    }
    double start = peak / START_DIVISOR;
    double end = start / END_DIVISOR;
    double top = WARM_UP_SHARE * totalSteps - 1;
    double last = totalSteps - 1.0;
    return step <= top
        ? cosine(start, peak, step / top)
        : cosine(peak, end, (step - top) / (last - top));
  }

  private static double cosine(double from, double to, double part) {
    return to + (from - to) / 2 * (1 + Math.cos(Math.PI * part));
  }

  private double reduced(double peak, List<Double> testLosses) {
    double rate = peak;
    double best = Double.POSITIVE_INFINITY;
    int worse = 0;
    for (double loss : testLosses) {
      if (loss < best * (1 - PLATEAU_THRESHOLD)) {
        best = loss;
        worse = 0;
      } else {
        worse++;
      }
      if (worse > patience) {
        double next = rate * factor;
        rate = rate - next > LEAST_REDUCTION ? next : rate;
        worse = 0;
      }
    }
    return rate;
  }

  private static void require(boolean holds, String name, Object value, String what) {
    if (!holds) {
      throw ActclipException.badInput("%s (%s) must be %s", name, value, what);
    }
  }

  private static void requireUnused(String name, Object value, Object unused, String owner) {
    if (!value.equals(unused)) {
      throw ActclipException.badInput("%s (%s) is an option of %s", name, value, owner);
    }
  }
}
