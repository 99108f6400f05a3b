package io.github.actclip.train;

/** How the learning rate changes over a training. */
public enum LearningRateSchedule {
  /** The same all the time. */
  CONSTANT {
    @Override
    public double at(long step, long totalSteps, double peak) {
      return peak;
    }
  },
  /**
   * Up from peak/25 over the first 30 % of the steps, then down to peak/250,000, both along a
   * cosine: "super-convergence" (arXiv 1708.07120), with the shape and the defaults of PyTorch's
   * {@code OneCycleLR}.
   */
  ONE_CYCLE {
    @Override
    public double at(long step, long totalSteps, double peak) {
      if (totalSteps < 2) {
        return peak; // There is no cycle in one step.
      }
      double start = peak / START_DIVISOR;
      double end = start / END_DIVISOR;
      double top = WARM_UP * totalSteps - 1;
      double last = totalSteps - 1.0;
      return step <= top
          ? cosine(start, peak, step / top)
          : cosine(peak, end, (step - top) / (last - top));
    }
  };

  private static final double START_DIVISOR = 25;
  private static final double END_DIVISOR = 1e4;
  private static final double WARM_UP = 0.3;

  /**
   * The learning rate of one step.
   *
   * @param step from 0
   * @param totalSteps how many steps the training has
   * @param peak the highest rate
   */
  public abstract double at(long step, long totalSteps, double peak);

  private static double cosine(double from, double to, double part) {
    return to + (from - to) / 2 * (1 + Math.cos(Math.PI * part));
  }
}
