package io.github.actclip.op;

import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.LargeTensors;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/**
 * Batch normalisation of (B, C, H, W), what is added to it, if that is, ReLU, and what limits
 * behind that, in one pass over the activations after one that sums them up; backward likewise. It
 * equals the single operations but for float32's rounding. Thread-safe, but that training moves the
 * running statistics.
 *
 * @param weight (C); it and all that follow are the layer's
 * @param bias (C)
 * @param runningMean (C)
 * @param runningVar (C)
 * @param momentum of the running statistics
 * @param eps is added to variances
 * @param training whether it normalises by the activations' own statistics, and moves the running
 *     ones
 */
@Internal
public record NormOp(
    Tensor weight,
    Tensor bias,
    Tensor runningMean,
    Tensor runningVar,
    double momentum,
    double eps,
    boolean training) {

  /**
   * What a forward pass gives.
   *
   * @param output of the shape and layout of x
   * @param fates what became of each element; undefined where backward does not follow
   * @param statistics (2, C): what it normalised by; undefined likewise
   */
  public record Normed(Tensor output, Tensor fates, Tensor statistics) {}

  /**
   * Whether a kernel takes these: float32 in memory of the CPU, x channels-last with two elements a
   * channel at least, and not within autocast.
   *
   * @param x of which nothing was checked; the others too
   * @param addend of the shape and layout of x
   * @param parameters of what limits
   */
  public boolean suits(Tensor x, Optional<Tensor> addend, Tensor... parameters) {
    return Backends.isNative()
        && NativeBackend.areReadable(x, weight, bias, runningMean, runningVar)
        && NativeBackend.areReadable(parameters)
        && addend.map(NativeBackend::areReadable).orElse(true)
        && !torch.is_autocast_enabled(DeviceType.CPU)
        && NativeKernels.suitNorm(
            NativeBackend.address(x),
            address(addend),
            NativeBackend.address(weight),
            NativeBackend.address(bias),
            NativeBackend.address(runningMean),
            NativeBackend.address(runningVar),
            NativeBackend.address(parameters, 0),
            NativeBackend.address(parameters, 1));
  }

  static long address(Optional<Tensor> addend) {
    return addend.map(NativeBackend::address).orElse(0L);
  }

  /**
   * Normalises, adds, rectifies and limits what {@link #suits}; not recorded.
   *
   * @param recorded whether {@link #backward} is to follow, which only a training pass has
   */
  public Normed forward(
      ReluLimit limit, boolean recorded, Tensor x, Optional<Tensor> addend, Tensor... parameters) {
    Normed normed = new Normed(LargeTensors.like(x), new Tensor(), new Tensor());
    NativeBackend.run(
        () ->
            NativeKernels.normLimit(
                NativeBackend.address(x),
                address(addend),
                NativeBackend.address(weight),
                NativeBackend.address(bias),
                NativeBackend.address(runningMean),
                NativeBackend.address(runningVar),
                momentum,
                eps,
                training,
                NativeBackend.address(parameters, 0),
                NativeBackend.address(parameters, 1),
                limit.high(),
                NativeBackend.address(normed.output()),
                recorded ? NativeBackend.address(normed.fates()) : 0,
                recorded ? NativeBackend.address(normed.statistics()) : 0));
    if (training) {
      runningMean.unsafeGetTensorImpl().bump_version();
      runningVar.unsafeGetTensorImpl().bump_version();
    }
    return normed;
  }

  /**
   * The exact gradients.
   *
   * @param g the gradient of the loss by the output, of its shape
   * @param fates as forward gave them; the statistics too
   * @param x as forward took it; the weight and the parameters too
   * @param byAddend whether the gradient by what was added is wanted
   * @return by x, the addend (undefined where it is not wanted), the weight, the bias, and the
   *     first parameter
   */
  public static Tensor[] backward(
      ReluLimit limit,
      Tensor g,
      Tensor fates,
      Tensor statistics,
      Tensor x,
      Tensor weight,
      boolean byAddend,
      Tensor... parameters) {
    Tensor given = ClipArguments.inMemory(g);
    Tensor[] gradients = {
      LargeTensors.like(x), new Tensor(), new Tensor(), new Tensor(), new Tensor()
    };
    NativeBackend.run(
        () ->
            NativeKernels.normLimitBackward(
                NativeBackend.address(given),
                NativeBackend.address(fates),
                NativeBackend.address(x),
                NativeBackend.address(statistics),
                NativeBackend.address(weight),
                NativeBackend.address(parameters, 0),
                NativeBackend.address(parameters, 1),
                limit.high(),
                NativeBackend.address(gradients[0]),
                byAddend ? NativeBackend.address(gradients[1]) : 0,
                NativeBackend.address(gradients[2]),
                NativeBackend.address(gradients[3]),
                NativeBackend.address(gradients[4])));
    return gradients;
  }
}
