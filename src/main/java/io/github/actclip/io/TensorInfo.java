package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Arrays;
import java.util.Comparator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.Layout;

/**
 * One tensor that a file holds, or is to hold.
 *
 * @param begin its first byte in the data of a safetensors file
 * @param end the byte after its last
 */
record TensorInfo(String name, Dtype dtype, long[] shape, long begin, long end) {

  static final Comparator<TensorInfo> DATA_ORDER =
      Comparator.comparingLong(TensorInfo::begin).thenComparingLong(TensorInfo::end);

  /** LibTorch's own operations take no more. */
  static final int MAX_DIMENSIONS = 64;

  private static final int MAX_QUOTED = 100;

  /** Describes a tensor that is yet to find its place in a file. */
  static TensorInfo of(String name, Tensor tensor) {
    if (!Arguments.isTensor(tensor)) {
      throw ActclipException.badInput("Tensor %s is undefined; it needs a value", quoted(name));
    }
    if (tensor.layout().intern() != Layout.Strided) {
      throw ActclipException.badInput(
          "Tensor %s has the layout %s; dense tensors can be stored, see to_dense()",
          quoted(name), tensor.layout().intern());
    }
    Dtype dtype = Dtype.of(tensor.scalar_type());
    if (dtype == null) {
      throw ActclipException.badInput(
          "Tensor %s has the dtype %s, which cannot be stored; convert it to one of %s",
          quoted(name), tensor.scalar_type().intern(), Arrays.toString(Dtype.values()));
    }
    return new TensorInfo(name, dtype, tensor.shape(), 0, tensor.nbytes());
  }

  TensorInfo movedTo(long newBegin) {
    return new TensorInfo(name, dtype, shape, newBegin, newBegin + byteCount());
  }

  long byteCount() {
    return end - begin;
  }

  /**
   * How many bytes a tensor has.
   *
   * @throws ArithmeticException when they, or the strides of the shape, do not fit in a long
   */
  static long byteCount(Dtype dtype, long[] shape) {
    long strides = dtype.bytes();
    boolean empty = false;
    for (long size : shape) {
      // LibTorch computes strides as if a size of 0 were 1.
      strides = Math.multiplyExact(strides, Math.max(size, 1));
      empty |= size == 0;
    }
    return empty ? 0 : strides;
  }

  /** A name for a message: on one line, and no longer than a reader can take. */
  static String quoted(String name) {
    String shown = name.length() <= MAX_QUOTED ? name : name.substring(0, MAX_QUOTED) + "…";
    return '"' + shown.replaceAll("\\p{Cntrl}", "?") + '"';
  }
}
