package io.github.actclip.checkpoint;

import io.github.actclip.runtime.ActclipException;
import java.time.Duration;

/**
 * How often a {@link Checkpointer} writes, and how much it keeps.
 *
 * @param everySteps after every so many steps, at least 1
 * @param every when so much time has passed, above 0
 * @param keep how many of the newest are kept, at least 1
 */
public record CheckpointOptions(long everySteps, Duration every, int keep) {

  private static final Duration DEFAULT_EVERY = Duration.ofMinutes(10);
  private static final int DEFAULT_KEEP = 3;

  /**
   * Checks the values.
   *
   * @throws ActclipException naming the first that is out of range
   */
  public CheckpointOptions {
    if (everySteps < 1) {
      throw ActclipException.badInput("everySteps (%d) must be at least 1", everySteps);
    }
    if (every.isNegative() || every.isZero()) {
      throw ActclipException.badInput("every (%s) must be a time above 0", every);
    }
    if (keep < 1) {
      throw ActclipException.badInput("keep (%d) must be at least 1", keep);
    }
  }

  /** Every 10 minutes, and the newest 3. */
  public static CheckpointOptions defaults() {
    return new CheckpointOptions(Long.MAX_VALUE, DEFAULT_EVERY, DEFAULT_KEEP);
  }
}
