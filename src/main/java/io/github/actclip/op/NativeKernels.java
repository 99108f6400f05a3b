package io.github.actclip.op;

/**
 * The entries of the kernel libraries, see {@code native/torch}. Tensors are given as the addresses
 * of {@code at::Tensor}s, 0 for none; results are assigned to the undefined tensors that come last.
 * What is computed stands at {@link ClipBackend}. A {@link RuntimeException} with one line says
 * what a kernel does not take.
 */
final class NativeKernels {

  private NativeKernels() {}

  /** The vector instructions that the kernels use here, such as {@code AVX-512}. */
  static native String cpuCapability();

  /** The kernels for CUDA: of the library that has them, which must be loaded. */
  static native long cuda();

  /** Uses these for tensors on CUDA devices from now on; none when 0. */
  static native void useCuda(long kernels);

  /**
   * Whether the kernels take x and one to three thresholds, of which nothing is known but that they
   * are addresses.
   */
  static native boolean suit(long x, long a, long b, long c);

  /** Whether g, of which nothing is known, has the shape and the dtype of x, which suits. */
  static native boolean suitsAsGradient(long g, long x);

  static native void clip(long x, long hi, long lo, long value, boolean relu, long y);

  /** {@link ClipOp#clipFew}; y stays undefined where it does not do that. */
  static native void clipFew(long x, long t, boolean relu, long limit, long y);

  static native void clipBackward(
      long g, long x, long hi, long lo, long value, boolean relu, long gx, long ghi, long glo);

  static native void clipStatistics(
      long g, long x, long hi, long lo, boolean relu, long statistics);

  static native void maxPoolClip(long x, long t, boolean relu, long y, long codes);

  /**
   * {@link PoolOp#convMaxPoolClip}; the results stay undefined where it does not do that. Codes may
   * be 0.
   */
  static native void convMaxPoolClip(long x, long weight, long bias, long t, long y, long codes);

  /** {@link PoolOp#isConvolutionNative}, for tensors of which nothing is known. */
  static native boolean suitConvolution(
      long x, long weight, long bias, long t, boolean gradients, boolean byX);

  static native void convMaxPoolClipBackward(
      long g, long codes, long x, long weight, long t, long gx, long gweight, long gbias, long gt);

  static native void maxPoolClipBackward(
      long g, long codes, long t, long height, long width, boolean channelsLast, long gx, long gt);

  static native void fakeQuantize(long x, long scale, long offset, long low, long high, long y);

  static native void fakeQuantizeBackward(
      long g,
      long x,
      long scale,
      long offset,
      long low,
      long high,
      long scaleGradient,
      long gx,
      long gscale,
      long goffset);

  /** {@link ReluLimit#suits}, of what is dense and on the CPU; nothing is known of these. */
  static native boolean suitInPlace(long x, long first, long second);

  /** Overwrites x, which suits; fates are 0 where backward does not follow. */
  static native void limitInPlace(long x, long first, long second, long high, long fates);

  static native void limitInPlaceBackward(
      long g, long fates, long first, long second, long high, long gx, long gfirst);

  /**
   * Whether batch normalisation, and what limits it by one parameter or two, takes these, of which
   * nothing is known.
   */
  static native boolean suitNorm(
      long x,
      long addend,
      long weight,
      long bias,
      long mean,
      long variance,
      long first,
      long second);

  /** Of what suits; moves the mean and the variance in training. Without a high code it clips. */
  static native void normLimit(
      long x,
      long addend,
      long weight,
      long bias,
      long mean,
      long variance,
      double momentum,
      double eps,
      boolean training,
      long first,
      long second,
      long high,
      long y,
      long fates,
      long statistics);

  /**
   * Whether a convolution, normalisation and clip in evaluation takes these, of which nothing is
   * known.
   */
  static native boolean suitConvNorm(
      long x,
      long kernel,
      long stride,
      long padding,
      long addend,
      long weight,
      long bias,
      long mean,
      long variance,
      long t);

  /** Of what suits. */
  static native void convNormClip(
      long x,
      long kernel,
      long stride,
      long padding,
      long addend,
      long weight,
      long bias,
      long mean,
      long variance,
      double eps,
      long t,
      long y);

  static native void normLimitBackward(
      long g,
      long fates,
      long x,
      long statistics,
      long weight,
      long first,
      long second,
      long high,
      long gx,
      long gaddend,
      long gweight,
      long gbias,
      long gfirst);
}
