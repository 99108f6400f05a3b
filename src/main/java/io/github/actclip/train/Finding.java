package io.github.actclip.train;

import java.util.List;
import org.apache.logging.log4j.Level;

/**
 * What a {@link ThresholdWatch} found.
 *
 * @param channels those of the threshold that have it
 * @param sentence says the reason with its values
 */
record Finding(Finding.Reason reason, List<Integer> channels, String sentence) {

  /** Why a threshold is worth a word. */
  enum Reason {
    NOT_FINITE(Level.WARN),
    NOT_POSITIVE(Level.WARN),
    NO_OPTIMIZER(Level.WARN),
    NO_GRADIENT(Level.WARN),
    ZERO_GRADIENT(Level.WARN),
    STILL(Level.WARN),
    /** Weight decay brings it down to the activations in time: not a fault. */
    DECAY_ALONE(Level.WARN),
    /** Somebody wanted it. */
    FROZEN(Level.INFO);

    private final Level level;

    Reason(Level level) {
      this.level = level;
    }

    Level level() {
      return level;
    }

    boolean isFault() {
      return this != DECAY_ALONE && this != FROZEN;
    }
  }
}
