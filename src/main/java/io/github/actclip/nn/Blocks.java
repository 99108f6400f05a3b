package io.github.actclip.nn;

import io.github.actclip.autograd.ConvMaxPoolClipFunction;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Optional;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Tensor;

/**
 * Modules that follow each other, as one operation: they give what the modules give one by one, and
 * their gradients, but for float32's rounding. Where the native kernels have a way that takes less
 * time and memory, they go it by themselves, for float32 on the CPU, channels-last and not within
 * autocast: for a convolution of stride 1 without padding, see {@link ConvMaxPoolClipFunction}, and
 * for batch normalisation; those have no second derivative. For everything else the modules are
 * called one by one.
 *
 * <p>Thread-safe as long as nobody changes the modules, as normalisation in training mode does.
 */
public final class Blocks {

  private Blocks() {}

  /**
   * A convolution, max pooling of 2×2 with stride 2, ReLU unless the layer takes its place ({@link
   * ClipForm#rectifies}), and the layer.
   *
   * @param conv of any kind
   * @param clip likewise
   * @param x as the convolution takes it
   * @return (B, C, ⌊H/2⌋, ⌊W/2⌋) for (B, C, H, W) from the convolution; the caller's scope owns it
   * @throws ActclipException bad input, when a module or x was closed, or when what comes to the
   *     layer does not suit it
   */
  public static Tensor convMaxPoolClip(Conv2dImpl conv, ThresholdLayer clip, Tensor x) {
    requireOpen(conv, x);
    Arguments.requireOpen("the layer", clip);
    return clip.convMaxPool(conv, x);
  }

  /**
   * ReLU unless the layer takes its place ({@link ClipForm#rectifies}), and the layer.
   *
   * @param clip of any kind
   * @param x of a shape that the layer takes; the caller needs it no more: it may be changed, as by
   *     {@code relu_}, and whoever reads it later may read the output. So an operation that saved
   *     it for its backward, as {@code exp} does, refuses that.
   * @return of the shape and dtype of x, and maybe in its memory; the caller's scope owns it
   * @throws ActclipException bad input, when the layer or x was closed, or when x does not suit it
   */
  public static Tensor reluClip(ThresholdLayer clip, Tensor x) {
    Arguments.requireOpen("the layer", clip);
    Arguments.requireTensor("the activations", x);
    return clip.rectified(x);
  }

  /**
   * Batch normalisation, ReLU unless the layer takes its place ({@link ClipForm#rectifies}), and
   * the layer. The short way is that of plain ReLU, one-sided clips and PACT's quantizers, with a
   * normalisation that has weights, running statistics and a momentum: in training mode, from
   * 20,000 elements on where gradients are recorded; in evaluation mode where they are not.
   *
   * @param norm of any kind; in training mode it moves its running statistics
   * @param clip of any kind
   * @param x as the normalisation takes it, (B, C, H, W); it is not changed, and where gradients
   *     are recorded must not be before backward
   * @return of the shape and dtype of x; the caller's scope owns it
   * @throws ActclipException bad input, when a module or x was closed, or when what comes to the
   *     layer does not suit it
   */
  public static Tensor batchNormClip(BatchNorm2dImpl norm, ThresholdLayer clip, Tensor x) {
    requireOpen(norm, clip, x);
    return clip.normalized(norm, x, Optional.empty());
  }

  /**
   * The same, with a tensor that is added to what is normalised, as at the end of a residual block.
   *
   * @param addend of the shape of x, or of one that is broadcast to it; it is not changed
   * @return as {@link #batchNormClip}
   * @throws ActclipException likewise, also when the addend was closed
   */
  public static Tensor batchNormAddClip(
      BatchNorm2dImpl norm, ThresholdLayer clip, Tensor x, Tensor addend) {
    requireOpen(norm, clip, x);
    Arguments.requireTensor("the addend", addend);
    return clip.normalized(norm, x, Optional.of(addend));
  }

  /**
   * A convolution, and {@link #batchNormClip} of its output. In evaluation mode, where no gradients
   * are recorded, plain ReLU and one-sided clips have a way in one pass, of a convolution without
   * bias.
   *
   * @param conv of any kind
   * @param x as the convolution takes it, (B, C, H, W); it is not changed
   * @return (B, N, H', W') from the convolution; the caller's scope owns it
   * @throws ActclipException bad input, when a module or x was closed, or when what comes to the
   *     normalisation or the layer does not suit it
   */
  public static Tensor convBatchNormClip(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer clip, Tensor x) {
    requireOpen(conv, x);
    requireOpen(norm, clip, x);
    return clip.convNormalized(conv, norm, x, Optional.empty());
  }

  /**
   * A convolution, and {@link #batchNormAddClip} of its output.
   *
   * @param addend of the shape of the convolution's output, or of one that is broadcast to it; it
   *     is not changed
   * @return as {@link #convBatchNormClip}
   * @throws ActclipException likewise, also when the addend was closed
   */
  public static Tensor convBatchNormAddClip(
      Conv2dImpl conv, BatchNorm2dImpl norm, ThresholdLayer clip, Tensor x, Tensor addend) {
    requireOpen(conv, x);
    requireOpen(norm, clip, x);
    Arguments.requireTensor("the addend", addend);
    return clip.convNormalized(conv, norm, x, Optional.of(addend));
  }

  private static void requireOpen(BatchNorm2dImpl norm, ThresholdLayer clip, Tensor x) {
    Arguments.requireOpen("the normalisation", norm);
    Arguments.requireOpen("the layer", clip);
    Arguments.requireTensor("the activations", x);
  }

  /**
   * A convolution, max pooling of 2×2 with stride 2, and ReLU.
   *
   * @param conv of any kind
   * @param x as the convolution takes it, (B, C, H, W)
   * @return (B, C, ⌊H/2⌋, ⌊W/2⌋) for (B, C, H, W) from the convolution; the caller's scope owns it
   * @throws ActclipException bad input, when the convolution or x was closed, or when what it gives
   *     cannot be pooled
   */
  public static Tensor convMaxPoolRelu(Conv2dImpl conv, Tensor x) {
    requireOpen(conv, x);
    return ConvMaxPoolClipFunction.convMaxPoolRelu(conv, x);
  }

  private static void requireOpen(Conv2dImpl conv, Tensor x) {
    Arguments.requireOpen("the convolution", conv);
    Arguments.requireTensor("the activations", x);
  }
}
