package io.github.actclip.runtime;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.Layout;

/**
 * Checks what is handed to this library before native code sees it, where a null pointer or memory
 * that is not there is a stack trace of C++ at best. What requires something throws an {@link
 * ActclipException}, bad input, that names the argument and what is wrong with it. Thread-safe.
 */
@Internal
public final class Arguments {

  private Arguments() {}

  /**
   * Refuses a native object that is null or was closed.
   *
   * @param what it is called in the message, such as "the network"
   */
  public static void requireOpen(String what, Pointer object) {
    LibTorch.load();
    if (object == null) {
      throw ActclipException.badInput("%s: null was given", what);
    }
    if (object.isNull()) {
      throw ActclipException.badInput(
          "%s: it was closed; make it outside of the scope that closed it", what);
    }
  }

  /**
   * Checks a number that float32 must hold.
   *
   * @throws ActclipException bad input, when it is below 0, or not finite there
   */
  public static void requireNotNegative(String name, double value) {
    if (!(value >= 0 && value <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "%s (%s) must be at least 0 and fit into a float", name, value);
    }
  }

  /** Whether there is a tensor: one that is neither null, nor undefined, nor closed. */
  public static boolean isTensor(Tensor tensor) {
    return tensor != null && !tensor.isNull() && tensor.defined();
  }

  /** Refuses a tensor that is null, undefined, or was closed. */
  public static void requireTensor(String what, Tensor tensor) {
    LibTorch.load();
    if (!isTensor(tensor)) {
      throw ActclipException.badInput("%s: there is no tensor", what);
    }
  }

  /**
   * Refuses no tensor, and one of another layout than strides: a sparse one, or oneDNN's own.
   *
   * @param taker what takes it, such as "a clip"
   */
  public static void requireStrided(String what, Tensor tensor, String taker) {
    requireTensor(what, tensor);
    Layout layout = tensor.layout().intern();
    if (layout != Layout.Strided) {
      throw ActclipException.badInput(
          "%s: the tensor is %s, and %s takes dense ones",
          what, layout == Layout.Mkldnn ? "in oneDNN's layout" : "sparse", taker);
    }
  }

  /** The same, and refuses one on the device meta, which has no data. */
  public static void requireData(String what, Tensor tensor, String taker) {
    requireStrided(what, tensor, taker);
    if (tensor.is_meta()) {
      throw ActclipException.badInput("%s: the tensor is on the device meta, without data", what);
    }
  }

  /**
   * Refuses tensors on two devices; cuda:0 and cuda:1 are two.
   *
   * @param one the first with its verb, such as "the images are"
   * @param other likewise, the second
   */
  public static void requireSameDevice(String one, Tensor x, String other, Tensor y) {
    if (!(x.is_cpu() && y.is_cpu()) && !device(x).equals(device(y))) {
      throw ActclipException.badInput(
          "%s on %s and %s on %s: move one of them", one, device(x), other, device(y));
    }
  }

  private static String device(Tensor tensor) {
    return tensor.device().str().getString();
  }
}
