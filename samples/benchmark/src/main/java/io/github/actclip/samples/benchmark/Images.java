package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.models.Net;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A batch of noise, of three channels.
 *
 * @param data (B, 3, H, H) float32, channels-last
 * @param labels (B) int64
 */
record Images(Tensor data, Tensor labels) {

  private static final int CHANNELS = 3;

  /** Belongs to the caller's scope. */
  static Images random(int batch, int size, int classes, Device device) {
    try (Tensor drawn = torch.randn(batch, CHANNELS, size, size)) {
      return new Images(
          drawn.to(device, ScalarType.Float).contiguous(Net.MEMORY_FORMAT),
          torch
              .randint(0, classes, new long[] {batch}, new TensorOptions(ScalarType.Long))
              .to(device, ScalarType.Long));
    }
  }
}
