package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What every clip asks of its tensors, checked before LibTorch sees them. */
final class ClipArguments {

  private static final long[] SCALAR = {};

  private static final Set<ScalarType> DTYPES =
      EnumSet.of(ScalarType.Double, ScalarType.Float, ScalarType.BFloat16, ScalarType.Half);

  private ClipArguments() {}

  /**
   * Checks a threshold against activations.
   *
   * @return the threshold in the dtype of x, of a shape that leaves x's as it is
   */
  static Tensor threshold(Tensor x, Tensor t) {
    requireFloating("the activations", x);
    requireFloating("the threshold", t);
    if (!(x.is_cpu() && t.is_cpu()) && !device(x).equals(device(t))) {
      throw ActclipException.badInput(
          "the activations are on %s and the threshold is on %s: move one of them",
          device(x), device(t));
    }
    Tensor fitted = t.numel() == 1 && t.dim() > x.dim() ? t.view(SCALAR) : t;
    requireBroadcast(x.shape(), fitted.shape());
    ScalarType type = x.scalar_type().intern();
    return type == fitted.scalar_type().intern() ? fitted : fitted.to(type);
  }

  static void requireFloating(String what, Tensor tensor) {
    LibTorch.load();
    if (tensor == null || tensor.isNull() || !tensor.defined()) {
      throw ActclipException.badInput("%s: there is no tensor", what);
    }
    if (tensor.is_sparse() || tensor.is_sparse_csr()) {
      throw ActclipException.badInput(
          "%s: the tensor is sparse, and a clip takes dense ones", what);
    }
    ScalarType type = tensor.scalar_type().intern();
    if (!DTYPES.contains(type)) {
      throw ActclipException.badInput(
          "%s: the dtype is %s, and a clip takes one of %s", what, type, DTYPES);
    }
  }

  /** bfloat16 and float16 as float32, others as they are. */
  static Tensor atLeastFloat32(Tensor tensor) {
    requireFloating("the activations", tensor);
    return torch.isReducedFloatingType(tensor.scalar_type()) ? tensor.to(ScalarType.Float) : tensor;
  }

  private static void requireBroadcast(long[] x, long[] t) {
    int missing = x.length - t.length;
    boolean fits = missing >= 0;
    for (int i = 0; fits && i < t.length; i++) {
      fits = t[i] == 1 || t[i] == x[missing + i];
    }
    if (!fits) {
      throw ActclipException.badInput(
          "the threshold has the shape %s, which does not broadcast to the activations' %s:"
              + " give one element, or one for each channel",
          Arrays.toString(t), Arrays.toString(x));
    }
  }

  private static String device(Tensor tensor) {
    return tensor.device().str().getString();
  }
}
