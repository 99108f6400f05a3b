package io.github.actclip.autograd;

import java.util.List;
import java.util.Optional;

/**
 * The slopes of a function to the left and to the right of a point: weighted sums over the elements
 * of its output, of those alone that change.
 *
 * @param step to either side
 * @param left (f(x) − f(x − step))/step
 * @param right (f(x + step) − f(x))/step
 * @param size what they would be if all that is summed had one sign
 * @param rounding how far either may be off because values of f are rounded to float64
 */
record Slopes(double step, double left, double right, double size, double rounding) {

  /** Relative to the size: between left and right, and between a gradient and the slope. */
  static final double TOLERANCE = 1e-5;

  /** Of a value of f, relative: some roundings to float64. */
  private static final double ROUNDING = 4 * 0x1p-53;

  /** So many of the smallest steps show how f rounds on its way to a value. */
  private static final int SMALLEST = 3;

  /** How many times as large as what was seen of it rounding may be elsewhere. */
  private static final double MARGIN = 4;

  /**
   * From one step to a tenth of it, the bend of a smooth curve falls to a tenth, a kink's stays.
   */
  private static final double STAYS = 0.5;

  /** What shows a bend to be beside the point: a derivative this much more exact than the bend. */
  private static final double REFUTED = 0.1;

  /** A function's values at a point, and what its values around it show. */
  static final class Output {
    private final double[] weights;
    private final double[] here;

    /** Which elements changed at a step so far: at a smaller one they may have, too, unseen. */
    private final boolean[] moves;

    private double largestStep;

    Output(double[] weights, double... here) {
      this.weights = weights;
      this.here = here;
      moves = new boolean[here.length];
    }

    /**
     * The slopes to other values.
     *
     * @param down by how much x is smaller for {@code below}
     * @param up by how much x is larger for {@code above}
     */
    Slopes slopes(double[] below, double[] above, double down, double up) {
      double left = 0;
      double right = 0;
      double size = 0;
      double moving = 0;
      for (int j = 0; j < here.length; j++) {
        moves[j] |= below[j] != here[j] || above[j] != here[j];
        if (moves[j]) {
          double byLeft = weights[j] * (here[j] - below[j]) / down;
          double byRight = weights[j] * (above[j] - here[j]) / up;
          left += byLeft;
          right += byRight;
          size += (Math.abs(byLeft) + Math.abs(byRight)) / 2;
          moving += Math.abs(weights[j] * here[j]);
        }
      }
      double step = Math.min(down, up);
      largestStep = Math.max(largestStep, step);
      return new Slopes(step, left, right, size, ROUNDING * (moving + size * step) / step);
    }

    /** The slope that those may have which changed at no step: less than the largest one shows. */
    double unseen() {
      double still = 0;
      for (int j = 0; j < here.length; j++) {
        still += moves[j] ? 0 : Math.abs(weights[j] * here[j]);
      }
      return ROUNDING * still / largestStep;
    }
  }

  boolean areFinite() {
    return Double.isFinite(left) && Double.isFinite(right);
  }

  double central() {
    return (left + right) / 2;
  }

  /** Whether the function changes, and is smooth at this step as far as can be seen. */
  boolean agree() {
    return areFinite() && size > 0 && error() <= TOLERANCE * size;
  }

  /** Whether a derivative is that of the function as far as can be seen. */
  boolean fit(double derivative) {
    double allowed = TOLERANCE * Math.max(size, Math.abs(derivative)) + error();
    return Double.isFinite(derivative) && Math.abs(derivative - central()) <= allowed;
  }

  /**
   * The most exact of several.
   *
   * @param all finite, from the largest step to the smallest, each a tenth of the one before
   * @param unseen what any of them may be off by besides
   * @return empty when they show that the point is on a kink, or there are none
   */
  static Optional<Slopes> best(List<Slopes> all, double unseen) {
    double rounded = roundingWithin(all);
    List<Slopes> slopes = all.stream().map(s -> s.withRounding(rounded / s.step, unseen)).toList();
    return isKink(slopes) ? Optional.empty() : mostExact(slopes);
  }

  /**
   * At the smallest steps the curve itself is too small to be seen. What is seen is rounding: in
   * the bend, or where that cancels out, from one step to the next.
   */
  private static double roundingWithin(List<Slopes> all) {
    double seen = 0;
    for (int i = all.size() - 1; i >= Math.max(1, all.size() - SMALLEST); i--) {
      Slopes at = all.get(i);
      double change = Math.abs(at.central() - all.get(i - 1).central());
      seen = Math.max(seen, Math.max(at.bend(), change) * at.step);
    }
    return MARGIN * seen;
  }

  /**
   * From the smallest step on, rounding counts for less and less, until the bend counts for more.
   * What comes after that may be a step over the bends of a wave, which are as small again.
   */
  private static Optional<Slopes> mostExact(List<Slopes> slopes) {
    Slopes best = null;
    for (int i = slopes.size() - 1; i >= 0; i--) {
      if (best != null && slopes.get(i).error() > best.error()) {
        break;
      }
      best = slopes.get(i);
    }
    return Optional.ofNullable(best);
  }

  /** Whether the smallest bend that can be told from rounding is a kink's, and at the point. */
  private static boolean isKink(List<Slopes> slopes) {
    double leastError = Double.POSITIVE_INFINITY;
    for (int i = slopes.size() - 1; i > 0; i--) {
      double bend = slopes.get(i).bend();
      if (bend > MARGIN * slopes.get(i).rounding) {
        return bend > STAYS * slopes.get(i - 1).bend() && leastError > REFUTED * bend;
      }
      leastError = Math.min(leastError, slopes.get(i).error());
    }
    return false;
  }

  private double bend() {
    return Math.abs(right - left);
  }

  /** How far the central slope may be from the derivative, if there is one. */
  private double error() {
    return bend() / 2 + rounding;
  }

  private Slopes withRounding(double within, double unseen) {
    return new Slopes(step, left, right, size, Math.max(rounding, within) + unseen);
  }
}
