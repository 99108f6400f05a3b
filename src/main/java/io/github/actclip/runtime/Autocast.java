package io.github.actclip.runtime;

import java.util.function.Supplier;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Mixed precision, like {@code torch.autocast}: LibTorch computes convolutions and matrix products
 * in half precision. Forward goes inside, backward outside of it.
 *
 * <pre>{@code
 * Tensor logits = Autocast.run(device, ScalarType.BFloat16, () -> net.forward(images));
 * Tensor loss = cross_entropy_loss(logits.to(ScalarType.Float), labels);
 * }</pre>
 */
public final class Autocast {

  private Autocast() {}

  /**
   * Computes something in mixed precision, on the current thread.
   *
   * @param device where the tensors are; not kept
   * @param dtype bfloat16 or float16
   * @return what {@code forward} returned; tensors of it are often of that dtype
   * @throws ActclipException bad input, when the device or the dtype is none of these, or on a
   *     virtual thread: see {@link LibTorch}
   */
  public static <T> T run(Device device, ScalarType dtype, Supplier<T> forward) {
    Devices.requireUsable(device);
    if (dtype != ScalarType.BFloat16 && dtype != ScalarType.Half) {
      throw ActclipException.badInput("the dtype (%s) must be BFloat16 or Half", dtype);
    }
    DeviceType type = device.type().intern();
    boolean wasEnabled = torch.is_autocast_enabled(type);
    ScalarType dtypeBefore = torch.get_autocast_dtype(type).intern();
    torch.increment_nesting();
    try {
      torch.set_autocast_enabled(type, true);
      torch.set_autocast_dtype(type, dtype);
      return forward.get();
    } finally {
      if (torch.decrement_nesting() == 0) {
        torch.clear_cache(); // of the weights in half precision: the weights will change
      }
      torch.set_autocast_enabled(type, wasEnabled);
      torch.set_autocast_dtype(type, dtypeBefore);
    }
  }
}
