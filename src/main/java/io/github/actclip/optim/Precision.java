package io.github.actclip.optim;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * In what a training computes. In either half precision, LibTorch's autocast does so with
 * convolutions and matrix products alone; weights, thresholds, their gradients and the loss are
 * float32 (arXiv 1710.03740).
 */
public enum Precision {
  /** All in float32. */
  FLOAT32(ScalarType.Float),
  /** The range of float32 with 8 bits of precision: on CPUs and GPUs. */
  BFLOAT16(ScalarType.BFloat16),
  /**
   * 11 bits of precision, but a small range: on GPUs only, and with a {@link GradScaler} that keeps
   * gradients within it.
   */
  FLOAT16(ScalarType.Half);

  private final ScalarType dtype;

  Precision(ScalarType dtype) {
    this.dtype = dtype;
  }

  /**
   * Checks that a training can use it.
   *
   * @throws ActclipException bad input, for float16 on the CPU, and for a device that this machine
   *     has not
   */
  public void requireOn(Device device) {
    Devices.requireUsable(device);
    if (this == FLOAT16 && device.is_cpu()) {
      throw ActclipException.badInput(
          "the precision (float16) is for GPUs only: on the CPU, take bfloat16 or float32");
    }
  }

  /** What activations are. */
  public ScalarType dtype() {
    return dtype;
  }
}
