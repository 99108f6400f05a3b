package io.github.actclip.nn;

import io.github.actclip.nn.Threshold.Decay;

/**
 * What a layer makes a {@link Threshold} as.
 *
 * @param parameterization how the parameter becomes the value
 * @param decay what weight decay is to pull towards 0
 * @param floor the least value, or negative infinity for none
 * @param positive whether only a value above 0 makes sense
 * @param movedByRounding see {@link Threshold#isMovedByRounding}
 * @param layer what the layer computes, but for the numbers that it learns and how it learns them
 */
record ThresholdKind(
    Parameterization parameterization,
    Decay decay,
    double floor,
    boolean positive,
    boolean movedByRounding,
    String layer) {

  /** A clip's upper threshold, or PACT's. */
  static ThresholdKind max(Parameterization parameterization, double floor, String layer) {
    Decay decay = parameterization.decay();
    return new ThresholdKind(parameterization, decay, floor, true, false, layer);
  }

  /** LSQ's scale. */
  static ThresholdKind scale(double floor, String layer) {
    return new ThresholdKind(Parameterization.RAW, Decay.PARAMETER, floor, true, true, layer);
  }

  /** TQT's threshold, which weight decay leaves out: see {@link QuantizationMethod#TQT}. */
  static ThresholdKind powerOfTwo(double floor, String layer) {
    return new ThresholdKind(Parameterization.LOG2, Decay.NONE, floor, true, true, layer);
  }

  /** Any number, such as a lower threshold, a cut or an offset. */
  static ThresholdKind free(String layer) {
    return new ThresholdKind(
        Parameterization.RAW, Decay.PARAMETER, Double.NEGATIVE_INFINITY, false, false, layer);
  }

  boolean hasFloor() {
    return floor > Double.NEGATIVE_INFINITY;
  }

  /** Whether the parameter, or the value that is made of it, cannot be 0 or below. */
  boolean mustBePositive() {
    return positive || parameterization != Parameterization.RAW;
  }
}
