package io.github.actclip.runtime;

import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.Tensor;

/**
 * What is known of tensors besides their numbers, for which the presets' tensors have no room. A
 * note is kept for as long as the handle lives that it was given to; every other handle of the same
 * tensor finds it. A copy of a tensor has none.
 *
 * <p>Thread-safe.
 *
 * @param <V> what is noted; it must not refer to the handle, which would then live for ever
 */
@Internal
public final class TensorNotes<V> {

  /** By the address of LibTorch's tensor, which a living handle keeps from being used again. */
  private final Map<Long, Note<V>> notes = new ConcurrentHashMap<>();

  private final ReferenceQueue<Tensor> collected = new ReferenceQueue<>();

  private static final class Note<V> extends WeakReference<Tensor> {

    private final long address;
    private final V value;

    Note(Tensor handle, ReferenceQueue<Tensor> queue, long address, V value) {
      super(handle, queue);
      this.address = address;
      this.value = value;
    }

    boolean isValid() {
      Tensor handle = get();
      return handle != null && !handle.isNull();
    }
  }

  /**
   * Notes something of a tensor, in the place of what was noted before.
   *
   * @param handle with which it is forgotten: when that is closed, or collected as garbage
   * @throws ActclipException bad input when there is no tensor
   */
  public void set(Tensor handle, V value) {
    for (Object old = collected.poll(); old != null; old = collected.poll()) {
      notes.remove(((Note<?>) old).address, old);
    }
    long address = address(handle);
    notes.put(address, new Note<>(handle, collected, address, value));
  }

  /**
   * What is noted of a tensor, if anything is.
   *
   * @throws ActclipException bad input when there is no tensor
   */
  public Optional<V> of(Tensor tensor) {
    Note<V> note = notes.get(address(tensor));
    return note != null && note.isValid() ? Optional.of(note.value) : Optional.empty();
  }

  private static long address(Tensor tensor) {
    Arguments.requireTensor("the tensor", tensor);
    try (var impl = tensor.unsafeGetTensorImpl()) {
      return impl.address();
    }
  }
}
