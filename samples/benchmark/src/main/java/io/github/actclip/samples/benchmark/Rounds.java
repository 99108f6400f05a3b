package io.github.actclip.samples.benchmark;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Measures contestants in turn, so that what else a machine does meets all of them. */
final class Rounds {

  private static final double WARM_UP_MILLIS = 1_000;
  private static final double MILLIS_A_ROUND = 100;
  private static final int MOST_PASSES = 2_000;
  private static final long SETTLE_MILLIS = 50;

  private Rounds() {}

  /**
   * Measures.
   *
   * @param contestants the first is who the others are compared with
   */
  static List<Measurement> run(BenchmarkCase in, List<Contestant> contestants, int rounds) {
    int[] passes = contestants.stream().mapToInt(Rounds::warmUp).toArray();
    double[][] millis = new double[contestants.size()][rounds];
    for (int round = 0; round < rounds; round++) {
      for (int turn = 0; turn < contestants.size(); turn++) {
        int i = (round + turn) % contestants.size(); // Nobody always follows the same one.
        settle();
        millis[i][round] = contestants.get(i).measure(passes[i]);
      }
    }
    return IntStream.range(0, contestants.size())
        .mapToObj(i -> measurement(in, contestants.get(i).name(), millis[i], millis[0]))
        .toList();
  }

  private static Measurement measurement(
      BenchmarkCase in, String who, double[] millis, double[] ours) {
    double[] times = new double[millis.length];
    Arrays.setAll(times, round -> millis[round] / ours[round]);
    return new Measurement(in, who, Measurement.Spread.of(millis), Measurement.Spread.of(times));
  }

  /** Returns how many passes a round takes. */
  private static int warmUp(Contestant contestant) {
    double last = contestant.measure(1);
    for (double spent = last; spent < WARM_UP_MILLIS; ) {
      int passes = passes(last, WARM_UP_MILLIS / 4);
      last = contestant.measure(passes);
      spent += passes * last;
    }
    return passes(last, MILLIS_A_ROUND);
  }

  private static int passes(double millis, double wanted) {
    return (int) Math.max(1, Math.min(MOST_PASSES, Math.round(wanted / millis)));
  }

  /** Lets the threads of the one before, which spin for a while after their work, go to sleep. */
  private static void settle() {
    try {
      Thread.sleep(SETTLE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
