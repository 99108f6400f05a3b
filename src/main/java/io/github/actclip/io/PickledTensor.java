package io.github.actclip.io;

/**
 * A tensor as Python's PyTorch pickles it: a view of a storage, which has a file of its own in the
 * archive and which several tensors may share.
 *
 * @param offset the first element, counted from the beginning of the storage
 * @param shape of 0 or more each
 * @param strides in elements; within the storage, as {@link #isInsideStorage} says
 */
record PickledTensor(Storage storage, long offset, long[] shape, long[] strides) {

  /**
   * The memory below tensors.
   *
   * @param key the name of its file in the archive
   * @param elements how many of {@code dtype} it has
   */
  record Storage(String key, Dtype dtype, long elements) {

    /**
     * Its size.
     *
     * @throws ArithmeticException when it does not fit in a long
     */
    long bytes() {
      return TensorInfo.byteCount(dtype, new long[] {elements});
    }
  }

  boolean isEmpty() {
    for (long size : shape) {
      if (size == 0) {
        return true;
      }
    }
    return false;
  }

  /**
   * Whether every element is one of the storage's.
   *
   * @throws ArithmeticException when the place of one does not fit in a long
   */
  boolean isInsideStorage() {
    long last = offset;
    for (int i = 0; i < shape.length; i++) {
      last = Math.addExact(last, Math.multiplyExact(Math.max(shape[i] - 1, 0), strides[i]));
    }
    return isEmpty() || last < storage.elements();
  }
}
