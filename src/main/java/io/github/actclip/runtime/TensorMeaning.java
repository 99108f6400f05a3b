package io.github.actclip.runtime;

import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.Tensor;

/**
 * What the numbers of a tensor mean, in one line: two tensors of the same name whose meanings
 * differ cannot take each other's values. A tensor of the presets has no room for it, so it is kept
 * here, for as long as the handle lives that it was given to; every other handle of the same tensor
 * finds it. A copy of a tensor has none.
 *
 * <p>Thread-safe.
 */
public final class TensorMeaning {

  /** By the address of LibTorch's tensor, which a living handle keeps from being used again. */
  private static final Map<Long, Entry> ENTRIES = new ConcurrentHashMap<>();

  private static final ReferenceQueue<Tensor> COLLECTED = new ReferenceQueue<>();

  private static final class Entry extends WeakReference<Tensor> {

    private final long address;
    private final String text;

    Entry(Tensor handle, long address, String text) {
      super(handle, COLLECTED);
      this.address = address;
      this.text = text;
    }

    boolean isValid() {
      Tensor handle = get();
      return handle != null && !handle.isNull();
    }
  }

  private TensorMeaning() {}

  /**
   * Says what a tensor means.
   *
   * @param handle with which it is forgotten: when that is closed, or collected as garbage
   * @throws ActclipException bad input when there is no tensor
   */
  public static void set(Tensor handle, String text) {
    for (Object old = COLLECTED.poll(); old != null; old = COLLECTED.poll()) {
      ENTRIES.remove(((Entry) old).address, old);
    }
    long address = address(handle);
    ENTRIES.put(address, new Entry(handle, address, text));
  }

  /**
   * What a tensor means, if somebody said so.
   *
   * @throws ActclipException bad input when there is no tensor
   */
  public static Optional<String> of(Tensor tensor) {
    Entry entry = ENTRIES.get(address(tensor));
    return entry != null && entry.isValid() ? Optional.of(entry.text) : Optional.empty();
  }

  private static long address(Tensor tensor) {
    Arguments.requireTensor("the tensor", tensor);
    try (var impl = tensor.unsafeGetTensorImpl()) {
      return impl.address();
    }
  }
}
