package io.github.actclip.op;

import io.github.actclip.runtime.Internal;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * A convolution without bias, batch normalisation by the running statistics, what is added to it,
 * if that is, ReLU and clip, in one pass. Nothing is recorded. It equals the single operations but
 * for float32's rounding, and its bits depend neither on the number of images nor on that of
 * threads. Thread-safe.
 *
 * @param kernel (N, C, kH, kW); it and the norm are the layers'
 * @param stride of height and width
 * @param padding with zeros, on each side of height and width
 */
@Internal
public record ConvNormOp(Tensor kernel, long stride, long padding, NormOp norm) {

  /**
   * Whether a kernel takes these: float32 in memory of the CPU, channels-last, N a multiple of 16,
   * or of 8 without AVX-512, at most 262,144 weights, on an x86 processor with AVX2, and not within
   * autocast.
   *
   * @param x (B, C, H, W), of which nothing was checked; the others too
   * @param addend of the shape and layout of the output
   * @param t of one element, or (N, 1, 1)
   */
  public boolean suits(Tensor x, Optional<Tensor> addend, Tensor t) {
    return Backends.isNative()
        && NativeBackend.areReadable(
            x, kernel, norm.weight(), norm.bias(), norm.runningMean(), norm.runningVar(), t)
        && addend.map(NativeBackend::areReadable).orElse(true)
        && !torch.is_autocast_enabled(DeviceType.CPU)
        && NativeKernels.suitConvNorm(
            NativeBackend.address(x),
            NativeBackend.address(kernel),
            stride,
            padding,
            NormOp.address(addend),
            NativeBackend.address(norm.weight()),
            NativeBackend.address(norm.bias()),
            NativeBackend.address(norm.runningMean()),
            NativeBackend.address(norm.runningVar()),
            NativeBackend.address(t));
  }

  /**
   * Computes what {@link #suits}.
   *
   * @return (B, N, H', W'), channels-last; the caller's scope owns it
   */
  public Tensor forward(Tensor x, Optional<Tensor> addend, Tensor t) {
    Tensor y = new Tensor();
    NativeBackend.run(
        () ->
            NativeKernels.convNormClip(
                NativeBackend.address(x),
                NativeBackend.address(kernel),
                stride,
                padding,
                NormOp.address(addend),
                NativeBackend.address(norm.weight()),
                NativeBackend.address(norm.bias()),
                NativeBackend.address(norm.runningMean()),
                NativeBackend.address(norm.runningVar()),
                norm.eps(),
                NativeBackend.address(t),
                NativeBackend.address(y)));
    return y;
  }
}
