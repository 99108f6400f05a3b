package io.github.actclip.train;

import java.util.EnumMap;
import java.util.Map;

/** Tells the time of an epoch apart by {@link Phase}. */
final class PhaseTimer {

  private static final double NANOS_PER_SECOND = 1e9;

  private final Map<Phase, Double> seconds = new EnumMap<>(Phase.class);
  private long last;

  PhaseTimer() {
    reset(PhaseSeconds.ZERO);
  }

  /** Goes on from a sum, or starts anew with zeros. */
  void reset(PhaseSeconds from) {
    seconds.put(Phase.DATA, from.data());
    seconds.put(Phase.FORWARD, from.forward());
    seconds.put(Phase.BACKWARD, from.backward());
    seconds.put(Phase.OPTIMIZER, from.optimizer());
    seconds.put(Phase.OTHER, from.other());
    start();
  }

  /** The next phase begins now. */
  void start() {
    last = System.nanoTime();
  }

  /** That phase ends now; the next begins. */
  void end(Phase phase) {
    long now = System.nanoTime();
    seconds.merge(phase, (now - last) / NANOS_PER_SECOND, Double::sum);
    last = now;
  }

  PhaseSeconds read() {
    return new PhaseSeconds(
        seconds.get(Phase.DATA),
        seconds.get(Phase.FORWARD),
        seconds.get(Phase.BACKWARD),
        seconds.get(Phase.OPTIMIZER),
        seconds.get(Phase.OTHER));
  }
}
