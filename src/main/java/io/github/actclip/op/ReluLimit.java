package io.github.actclip.op;

import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.LargeTensors;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.Tensor;

/**
 * What limits activations behind ReLU, for kernels that do both at once: a clip by a threshold; or
 * a quantizer by a scale and an offset, for codes from 0 on, whose scale gets its gradient from
 * what is above the last one ({@link ScaleGradient#CLIPPED}), and whose offset gets none. Backward
 * needs to know a byte for each element, its fate.
 *
 * <p>Here it takes place in the memory of the activations. The bits are those of ReLU and {@link
 * ClipOp#clip(Tensor, Tensor)}, or {@link QuantizeOp#fakeQuantize}. Thread-safe.
 *
 * @param high the quantizer's last code; 0 for the clip
 */
@Internal
public record ReluLimit(int high) {

  /** The clip. */
  public static final ReluLimit CLIP = new ReluLimit(0);

  /**
   * Whether x may be overwritten, and a kernel does that. In the graph it must have a place that
   * the output can take: a leaf's or a view's cannot be taken, nor one with hooks.
   *
   * @param x of which nothing was checked; parameters too
   * @param parameters the threshold, or the scale and the offset
   */
  public static boolean suits(Tensor x, Tensor... parameters) {
    return Backends.isNative()
        && NativeBackend.areReadable(x)
        && NativeBackend.areReadable(parameters)
        && (!x.is_inference() || InferenceMode.is_enabled())
        && (!GradMode.is_enabled() || isIntermediate(x))
        && NativeKernels.suitInPlace(
            NativeBackend.address(x),
            NativeBackend.address(parameters, 0),
            NativeBackend.address(parameters, 1));
  }

  /** What {@code relu_} makes of x; in its place, where LibTorch lets that be taken. */
  public static Tensor rectified(Tensor x) {
    boolean isKept = GradMode.is_enabled() && x.requires_grad() && (x.is_leaf() || x.is_view());
    return isKept ? x.relu() : x.relu_();
  }

  private static boolean isIntermediate(Tensor x) {
    return x.requires_grad() && !x.is_leaf() && !x.is_view() && !x.retains_grad() && !isHooked(x);
  }

  /** One that is registered later would join the hook that is there, and see x's gradient. */
  private static boolean isHooked(Tensor x) {
    try (Node node = x.grad_fn()) {
      return !node.tensor_pre_hooks().empty();
    }
  }

  /**
   * Overwrites x.
   *
   * @param x what {@link #suits}, with the parameters; whoever saved it for backward finds out
   * @param recorded whether {@link #backward} is to follow
   * @return the fates, for {@link #backward}; undefined where it does not follow
   */
  public Tensor overwrite(Tensor x, boolean recorded, Tensor... parameters) {
    Tensor fates = new Tensor();
    NativeBackend.run(
        () ->
            NativeKernels.limitInPlace(
                NativeBackend.address(x),
                NativeBackend.address(parameters, 0),
                NativeBackend.address(parameters, 1),
                high,
                recorded ? NativeBackend.address(fates) : 0));
    x.unsafeGetTensorImpl().bump_version();
    return fates;
  }

  /**
   * The exact gradients.
   *
   * @param g the gradient of the loss by the output, of its shape and dtype
   * @param fates as {@link #overwrite} gave them
   * @param parameters as it took them
   * @return by x and by the first parameter
   */
  public Tensor[] backward(Tensor g, Tensor fates, Tensor... parameters) {
    Tensor given = ClipArguments.inMemory(g);
    Tensor[] gradients = {LargeTensors.like(given), new Tensor()};
    NativeBackend.run(
        () ->
            NativeKernels.limitInPlaceBackward(
                NativeBackend.address(given),
                NativeBackend.address(fates),
                NativeBackend.address(parameters, 0),
                NativeBackend.address(parameters, 1),
                high,
                NativeBackend.address(gradients[0]),
                NativeBackend.address(gradients[1])));
    return gradients;
  }
}
