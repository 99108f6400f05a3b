package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.Layout;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Chooses the threshold of a clip, or of the quantizer behind it, from data: a start for training,
 * or all there is without training.
 *
 * <p>Every method sees the data's positive part: the values above 0 where the quantizer is
 * unsigned, the magnitudes above 0 where it is signed. What becomes 0 does so exactly at every
 * threshold, so it does not count; a network's many zeros after a ReLU do not drown the rest.
 *
 * <p>Thread-safe. The same values give the same threshold on every device: apart from the search
 * for the largest, the work is done on the CPU in float64, in pieces of 1,048,576 values.
 */
public enum Calibration {
  /** The largest value: nothing is clipped. */
  MAX {
    @Override
    ToDoubleFunction<PositivePart> choice(long count, int steps) {
      return PositivePart::max;
    }
  },

  /**
   * The 99.9th percentile. With the n values of the positive part in ascending order x₀ … xₙ₋₁ and
   * h = 0.999 (n − 1), it is x_⌊h⌋ + (h − ⌊h⌋) (x_⌊h⌋₊₁ − x_⌊h⌋): numpy's and LibTorch's "linear",
   * definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996). It is
   * exact. With fewer than 1,001 values it lies between the largest two.
   */
  PERCENTILE {
    @Override
    ToDoubleFunction<PositivePart> choice(long count, int steps) {
      return values -> values.quantile(PERCENTILE_FRACTION);
    }
  },

  /**
   * The threshold with the least mean square error between the values and what the quantizer, which
   * rounds to the nearest level, makes of them: Nagel et al., "A White Paper on Neural Network
   * Quantization" (arXiv 2106.08295), by grid search.
   *
   * <p>The candidates are max · 2^(−i/256) for i = 0 … 2,560: from the largest value down to 1/1024
   * of it, each 0.27 % below the one before. Of equal candidates the largest wins.
   *
   * <p>Errors are those of the centres of a histogram's bins of equal width w, 1,048,576 of them,
   * or 65,536 for no more values than that (w is then 16 times as wide as in what follows). With a
   * smooth distribution and a quantizer's step s, that changes a mean error by about the fraction
   * (w/s)² at most: for 8 bits unsigned, 6e-8 at the largest value, 0.06 % at 1/100 of it and 6 %
   * at 1/1024; for 4 bits, 300 times less. With thousands of different values, the mean error is
   * within 1 % of the least that any threshold from 1/100 of the largest value upwards gives; with
   * a few, such as two, a better one may lie between two candidates.
   */
  MSE {
    @Override
    ToDoubleFunction<PositivePart> choice(long count, int steps) {
      LeastSquares search = new LeastSquares(count, steps);
      return values -> values.scaled(search.bestThreshold(values));
    }
  },

  /**
   * The threshold that keeps the most of the distribution's information, by the Kullback-Leibler
   * divergence between the values' histogram and its quantized form: Migacz, "8-bit Inference with
   * TensorRT" (GPU Technology Conference 2017, S7310), "Entropy Calibration — pseudocode".
   *
   * <ol>
   *   <li>H: a histogram of the positive part, 2,048 bins of equal width w from 0 to the largest.
   *       The talk does not say what becomes of zeros; here they are left out.
   *   <li>For every i from the number of levels L to 2,048 ("range(128, 2048)", whose end Python
   *       would leave out; here i = 2,048, which clips nothing, is a candidate):
   *       <ul>
   *         <li>P: the first i bins; all that lies beyond is added to the last of them.
   *         <li>Q: the first i bins of H, without what lies beyond, merged into L levels. The talk
   *             does not say how when L does not divide i; here bin j goes to level ⌊j L / i⌋. Then
   *             each level's count is spread evenly over those of its bins that are not empty in H.
   *         <li>Both are made to sum up to 1; the divergence is Σ P log(P/Q). It is infinite, and i
   *             no candidate, where the last bin is empty in H and something lies beyond it.
   *       </ul>
   *   <li>m is the i with the least divergence, the largest of equals; the threshold is (m + 0.5) w
   *       as in the talk, but never more than the largest value.
   * </ol>
   *
   * <p>L is 2^(bits−1) for a signed quantizer (the talk's 128 for 8 bits), and 2^bits for an
   * unsigned one. What the talk leaves open about empty bins, uneven merging and equal divergences
   * is done as in NVIDIA's pytorch-quantization.
   *
   * <p>The threshold is never below max · (L + 0.5) / 2048: an outlier beyond 2048/L times the rest
   * draws it along. Evenly distributed values lose nothing by merging, whatever lies beyond them.
   */
  KL {
    @Override
    ToDoubleFunction<PositivePart> choice(long count, int steps) {
      return values -> {
        double[] bins = values.histogram(LeastDivergence.BINS);
        return values.scaled(new LeastDivergence(bins).bestThreshold(steps + 1));
      };
    }
  };

  private static final double PERCENTILE_FRACTION = 0.999;
  private static final Set<ScalarType> DTYPES =
      Set.of(ScalarType.Double, ScalarType.Float, ScalarType.BFloat16, ScalarType.Half);

  /**
   * Chooses the threshold for these values.
   *
   * @param values any shape, strides and device; float64, float32, bfloat16 or float16. They are
   *     not changed, and no gradient is recorded. Those that are not contiguous are copied once.
   * @param bits of the quantizer, 2 to 8; without effect on MAX and PERCENTILE
   * @param signed false: 2^bits levels evenly on [0, threshold], negative values become 0; true:
   *     2^(bits−1) − 1 levels above 0, as many below it, and 0, evenly on [−threshold, threshold]
   * @return a finite number above 0, at most the largest value (signed: magnitude)
   * @throws ActclipException when the tensor is undefined, empty or of another dtype, the bits are
   *     out of range, a value is NaN or infinite, or none (signed: none's magnitude) is above 0
   */
  public double threshold(Tensor values, int bits, boolean signed) {
    FakeQuantizeOptions.requireBits("bits", bits);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      requireFloatingPoint(values);
      requireAny(values);
      return choose(values.flatten().unsqueeze(0), bits, signed)[0];
    }
  }

  /**
   * Chooses one for each channel of values that lie along a dimension; NaN for a channel that has
   * nothing above 0.
   */
  double[] thresholds(Tensor values, int axis, int bits, boolean signed) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      requireFloatingPoint(values);
      requireAny(values.select(axis, 0));
      return choose(values.movedim(axis, 0).reshape(values.size(axis), -1), bits, signed);
    }
  }

  /** Row by row; NaN for one of several that has nothing above 0. */
  private double[] choose(Tensor rows, int bits, boolean signed) {
    int steps = (1 << (signed ? bits - 1 : bits)) - 1;
    ToDoubleFunction<PositivePart> choice = choice(rows.size(1), steps);
    List<PositivePart> parts = PositivePart.ofRows(rows, signed);
    if (parts.size() == 1) {
      parts.get(0).requireAny();
    }
    return parts.stream()
        .mapToDouble(part -> part.isEmpty() ? Double.NaN : choice.applyAsDouble(part))
        .toArray();
  }

  /**
   * How to choose for a quantizer with so many steps from 0 to the threshold: one less than levels.
   *
   * @param count of the values of a tensor, those that are not above 0 among them
   */
  abstract ToDoubleFunction<PositivePart> choice(long count, int steps);

  static void requireFloatingPoint(Tensor values) {
    if (!Arguments.isTensor(values)) {
      throw ActclipException.badInput(
          "the values are an undefined tensor: calibration needs at least one value above 0");
    }
    if (values.layout().intern() != Layout.Strided || values.is_meta()) {
      throw ActclipException.badInput(
          "the values are a sparse tensor, or one without data: calibration takes dense ones");
    }
    ScalarType dtype = values.scalar_type().intern();
    if (!DTYPES.contains(dtype)) {
      throw ActclipException.badInput(
          "the values are %s: calibration takes Double, Float, BFloat16 or Half", dtype);
    }
  }

  private static void requireAny(Tensor values) {
    if (values.numel() == 0) {
      throw ActclipException.badInput(
          "the values have the shape %s, which is empty: calibration needs at least one above 0",
          Arrays.toString(values.shape()));
    }
  }
}
