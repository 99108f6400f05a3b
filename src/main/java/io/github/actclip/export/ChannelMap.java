package io.github.actclip.export;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorNumbers;
import org.bytedeco.pytorch.BatchNorm2dImpl;

/**
 * What batch normalisation does outside of training, in float64: each channel c becomes {@code
 * factor[c]·x + shift[c]}.
 */
record ChannelMap(double[] factor, double[] shift) {

  /**
   * That of a normalisation; in the caller's scope.
   *
   * @throws ActclipException bad input, when it keeps no running statistics
   */
  static ChannelMap of(BatchNorm2dImpl norm) {
    if (!norm.running_mean().defined()) {
      throw ActclipException.badInput(
          "a batch normalisation without running statistics, of %d channels, computes from what is"
              + " in a batch: it cannot be exported",
          norm.options().num_features().get());
    }
    double[] mean = TensorNumbers.of(norm.running_mean());
    double[] factor = TensorNumbers.of(norm.running_var());
    double[] shift = new double[mean.length];
    boolean affine = norm.weight().defined();
    double[] weight = affine ? TensorNumbers.of(norm.weight()) : null;
    double[] bias = affine ? TensorNumbers.of(norm.bias()) : null;
    double epsilon = norm.options().eps().get();
    for (int c = 0; c < mean.length; c++) {
      factor[c] = (affine ? weight[c] : 1) / Math.sqrt(factor[c] + epsilon);
      shift[c] = (affine ? bias[c] : 0) - factor[c] * mean[c];
    }
    return new ChannelMap(factor, shift);
  }

  /** What it makes of numbers, one for each channel. */
  double[] of(double[] values) {
    double[] mapped = new double[values.length];
    for (int c = 0; c < mapped.length; c++) {
      mapped[c] = factor[c] * values[c] + shift[c];
    }
    return mapped;
  }
}
