package io.github.actclip.runtime;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Large tensors on the CPU whose memory is used again.
 *
 * <p>glibc gives every block above 32 MiB back to the system when it is freed, and the system
 * clears the pages of the next one as they are touched: that takes several times as long as a
 * kernel. So the memory of large results is kept here when the last tensor in it is freed: at most
 * 1 GiB, and until {@link KernelLibrary#releaseFreedMemory}. Not where a user tunes malloc.
 *
 * <p>Thread-safe.
 */
public final class LargeTensors {

  /** What is not larger, malloc keeps. */
  static final long MALLOC_KEEPS = 32L << 20;

  /** Of memory in use and kept; what goes beyond it is malloc's alone. */
  private static final long MOST = 1L << 30;

  /** Each holds a storage, which is free when nothing else does; the one used last is the last. */
  private static final List<Tensor> HOLDERS = new ArrayList<>();

  private LargeTensors() {}

  /**
   * A tensor of the shape, strides and dtype of another, uninitialised; the caller's scope owns it.
   *
   * @return undefined where there is nothing better than malloc: when x is small, or has gaps, or
   *     is not on the CPU
   */
  public static Tensor like(Tensor x) {
    Arguments.requireTensor("the tensor", x);
    boolean kept =
        x.nbytes() > MALLOC_KEEPS
            && x.is_cpu()
            && x.is_non_overlapping_and_dense()
            && KernelLibrary.keepsMemory();
    return kept ? kept(x) : new Tensor();
  }

  private static synchronized Tensor kept(Tensor x) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor holder = holder(x.nbytes());
      if (holder == null) {
        return scope.pass(new Tensor());
      }
      Tensor none = torch.empty(new long[] {0}, new TensorOptions(x.scalar_type().intern()), null);
      return scope.pass(none.set_(holder.storage(), 0, x.sizes(), x.strides()));
    }
  }

  /** One that is free; null when that would be too much memory. */
  private static Tensor holder(long bytes) {
    Tensor holder =
        HOLDERS.stream()
            .filter(one -> one.nbytes() == bytes && isFree(one))
            .findFirst()
            .orElse(null);
    if (holder == null) {
      releaseUntil(MOST - bytes);
      if (held() > MOST - bytes) {
        return null;
      }
      holder = make(bytes);
      if (holder == null) {
        releaseUntil(0); // for malloc, which is asked next
        return null;
      }
    }
    HOLDERS.remove(holder);
    HOLDERS.add(holder);
    return holder;
  }

  /** Null when there is no memory for it. */
  private static Tensor make(long bytes) {
    try (TensorScope scope = new TensorScope()) {
      return scope.keep(torch.empty(new long[] {bytes}, new TensorOptions(ScalarType.Byte), null));
    } catch (RuntimeException e) {
      return null;
    }
  }

  private static boolean isFree(Tensor holder) {
    return holder.storage().use_count() == 1;
  }

  private static long held() {
    return HOLDERS.stream().mapToLong(Tensor::nbytes).sum();
  }

  /** Gives back what is free, the one used longest ago first, until that much is left. */
  private static void releaseUntil(long bytes) {
    for (Tensor holder : List.copyOf(HOLDERS)) {
      if (held() > bytes && isFree(holder)) {
        HOLDERS.remove(holder);
        holder.close();
      }
    }
  }

  /** Gives back all that is free. */
  static synchronized void release() {
    TensorScope.run(() -> releaseUntil(0));
  }
}
