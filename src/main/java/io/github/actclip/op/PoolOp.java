package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Internal;
import java.lang.ref.Reference;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * Max pooling of 2×2 with stride 2 and the clip behind it, and both with the convolution before
 * them, as one operation forward and one backward. What is refused, and who owns the results, is as
 * for {@link ClipOp}. Thread-safe.
 */
@Internal
public final class PoolOp {

  private PoolOp() {}

  /**
   * Max pooling, then the clip: {@code clip(max_pool2d(x, 2), t)}, or {@code relu} in place of
   * {@code clip}. Where a gradient is recorded it is LibTorch's operations that compute; {@code
   * ClipFunctions.maxPoolClip} has the gradient in one pass.
   *
   * @param x (B, C, H, W); an odd last row or column is left out
   * @param t of one element, or (C, 1, 1)
   * @param relu whether it rectifies
   */
  public static Pooled maxPoolClip(Tensor x, Tensor t, boolean relu) {
    ClipArguments.requirePoolable(x, t);
    return Backends.forward(() -> {}, x, t).maxPoolClip(x, t, relu);
  }

  /**
   * Checks that x can be pooled.
   *
   * @throws ActclipException bad input, when it is not floating point or not (B, C, H, W)
   */
  public static void requirePoolable(Tensor x) {
    ClipArguments.requirePoolable(x);
  }

  /** Whether the native kernels compute {@link #maxPoolClip}. */
  public static boolean isNative(Tensor x, Tensor t) {
    ClipArguments.requirePoolable(x, t);
    return ClipOp.isNative(x, Limits.above(t));
  }

  /**
   * The exact gradients of {@link #maxPoolClip}.
   *
   * @param g the gradient of the loss by the output, of its shape and dtype
   * @param codes as forward gave them
   * @param t as forward took it
   * @param shape of x
   * @return the gradients by x and by t
   */
  public static Tensor[] maxPoolClipBackward(Tensor g, Tensor codes, Tensor t, long... shape) {
    Tensor given = ClipArguments.pooledGradient(g, codes, t, shape);
    return Backends.ofCodes(codes).maxPoolClipBackward(given, codes, t, shape);
  }

  /**
   * A convolution of stride 1 without padding, then {@link #maxPoolClip} with ReLU, in one call, of
   * what {@link #isConvolutionNative}. Where the kernels have the convolution, too, what is
   * convolved never gets into memory, and it equals the single operations but for float32's
   * rounding; elsewhere its bits are theirs. Not recorded: {@code ConvMaxPoolClipFunction} can be
   * differentiated, and falls back by itself.
   *
   * @param x (B, C, H, W)
   * @param weight (N, C, kH, kW)
   * @param bias (N), contiguous
   * @param t of one element, or (N, 1, 1); null for no limit
   * @param codes whether {@link #convMaxPoolClipBackward} is to follow: else there are none
   * @throws ActclipException bad input, when they are not of one that the kernels take
   */
  public static Pooled convMaxPoolClip(
      Tensor x, Tensor weight, Tensor bias, Tensor t, boolean codes) {
    Pooled pooled = new Pooled(new Tensor(), codes ? new Tensor() : null);
    NativeBackend.run(
        () ->
            NativeKernels.convMaxPoolClip(
                NativeBackend.address(x),
                NativeBackend.address(weight),
                NativeBackend.address(bias),
                NativeBackend.address(t),
                NativeBackend.address(pooled.output()),
                NativeBackend.address(pooled.codes())));
    if (!pooled.output().defined()) {
      throw ActclipException.badInput("the kernels do not take a convolution like this one");
    }
    return pooled;
  }

  /**
   * Whether the native kernels compute {@link #convMaxPoolClip}: of float32 numbers on the CPU
   * whose shapes fit each other, not within autocast. Where gradients are recorded, whether they
   * compute these, too, that by x only if x requires one: on an x86 processor with AVX2, of tensors
   * that are channels-last, whose channels (of x only for its gradient) are a multiple of 16, or of
   * 32 with AVX-512, and at most 262,144 weights.
   */
  public static boolean isConvolutionNative(Tensor x, Tensor weight, Tensor bias, Tensor t) {
    try {
      return hasKernels()
          && NativeBackend.isThere(x)
          && areInMemory(x, weight, bias, t)
          && NativeKernels.suitConvolution(
              NativeBackend.address(x),
              NativeBackend.address(weight),
              NativeBackend.address(bias),
              NativeBackend.address(t),
              GradMode.is_enabled(),
              x.requires_grad());
    } finally {
      Reference.reachabilityFence(x);
      Reference.reachabilityFence(weight);
      Reference.reachabilityFence(bias);
      Reference.reachabilityFence(t);
    }
  }

  /**
   * The exact gradients of {@link #convMaxPoolClip} where {@link #isConvolutionNative}.
   *
   * @param g the gradient of the loss by the output, of its shape and dtype
   * @param codes as forward gave them
   * @param x as forward took it; weight and t too
   * @param byX whether the gradient by x is wanted
   * @param byWeight whether that by the weight is
   * @return the gradients by x, the weight, the bias and t; null for what is not wanted, and a t
   *     that there is not
   * @throws ActclipException bad input, when one of them was closed or is not forward's
   */
  public static Tensor[] convMaxPoolClipBackward(
      Tensor g, Tensor codes, Tensor x, Tensor weight, Tensor t, boolean byX, boolean byWeight) {
    requireForwards(g, codes, x, weight, t);
    Tensor given = ClipArguments.inMemory(g);
    Tensor[] gradients = {
      byX ? new Tensor() : null,
      byWeight ? new Tensor() : null,
      new Tensor(),
      t == null ? null : new Tensor()
    };
    NativeBackend.run(
        () ->
            NativeKernels.convMaxPoolClipBackward(
                NativeBackend.address(given),
                NativeBackend.address(codes),
                NativeBackend.address(x),
                NativeBackend.address(weight),
                NativeBackend.address(t),
                NativeBackend.address(gradients[0]),
                NativeBackend.address(gradients[1]),
                NativeBackend.address(gradients[2]),
                NativeBackend.address(gradients[3])));
    return gradients;
  }

  private static void requireForwards(Tensor g, Tensor codes, Tensor x, Tensor weight, Tensor t) {
    if (!Backends.isNative()) {
      throw ActclipException.badInput("the backend is not native: it gave no such codes");
    }
    ClipArguments.requireFloating(ClipArguments.GRADIENT, g);
    Arguments.requireTensor("the codes", codes);
    Arguments.requireTensor("the images", x);
    Arguments.requireTensor("the weight", weight);
    if (t != null) {
      Arguments.requireTensor(ClipArguments.THRESHOLD, t);
    }
    if (NativeBackend.isAnyNegated(x, weight, t)) {
      throw ActclipException.badInput(
          "the images, the weight or the threshold is lazily negated: forward took none that is");
    }
  }

  private static boolean hasKernels() {
    return Backends.isNative() && !torch.is_autocast_enabled(DeviceType.CPU);
  }

  /** A threshold that was closed is none, for the kernels, and would not clip. */
  private static boolean areInMemory(Tensor x, Tensor weight, Tensor bias, Tensor t) {
    boolean isOpen = t == null || NativeBackend.isThere(t);
    return isOpen && !NativeBackend.isAnyNegated(x, weight, bias, t);
  }
}
