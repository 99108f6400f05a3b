package io.github.actclip.runtime;

import java.nio.DoubleBuffer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Reads the elements of tensors, and so waits for their device. */
@Internal
public final class TensorNumbers {

  private TensorNumbers() {}

  /** The elements of a tensor of any kind, in order; the caller's scope owns what this makes. */
  public static double[] of(Tensor tensor) {
    DoubleBuffer buffer = tensor.detach().cpu().to(ScalarType.Double).contiguous().createBuffer();
    double[] numbers = new double[buffer.remaining()];
    buffer.get(numbers);
    return numbers;
  }

  /** Whether all elements of a tensor are finite numbers. */
  public static boolean areFinite(Tensor tensor) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return tensor.isfinite().all().item_bool();
    }
  }
}
