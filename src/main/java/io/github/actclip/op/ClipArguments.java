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

  static final String ACTIVATIONS = "the activations";
  static final String THRESHOLD = "the threshold";

  private static final long[] SCALAR = {};

  private static final Set<ScalarType> DTYPES =
      EnumSet.of(ScalarType.Double, ScalarType.Float, ScalarType.BFloat16, ScalarType.Half);

  private ClipArguments() {}

  /**
   * Checks a threshold against activations, and brings it into their dtype.
   *
   * @return a threshold of a shape that leaves x's as it is
   */
  static Tensor threshold(Tensor x, Tensor t) {
    require(x, t);
    return fit(x, t);
  }

  /** Checks a threshold against activations. */
  static void require(Tensor x, Tensor t) {
    requireFloating(ACTIVATIONS, x);
    requireFloating(THRESHOLD, t);
    if (!(x.is_cpu() && t.is_cpu()) && !device(x).equals(device(t))) {
      throw ActclipException.badInput(
          "the activations are on %s and the threshold is on %s: move one of them",
          device(x), device(t));
    }
    if (t.numel() != 1) {
      requireBroadcast(x.shape(), t.shape());
    }
  }

  /** A threshold that was checked, as {@link #threshold} gives it. */
  static Tensor fit(Tensor x, Tensor t) {
    Tensor fitted = t.dim() > x.dim() ? t.view(SCALAR) : t;
    ScalarType type = x.scalar_type().intern();
    return type == fitted.scalar_type().intern() ? fitted : fitted.to(type);
  }

  /**
   * Checks the gradient of a loss by what was made of x.
   *
   * @return the same with its signs in memory, where a lazy negation leaves them out
   */
  static Tensor gradient(Tensor g, Tensor x) {
    requireFloating("the gradient", g);
    if (!Arrays.equals(g.shape(), x.shape())
        || g.scalar_type().intern() != x.scalar_type().intern()) {
      throw ActclipException.badInput(
          "the gradient is %s of the shape %s: it must be as the output is, %s of %s",
          g.scalar_type().intern(),
          Arrays.toString(g.shape()),
          x.scalar_type().intern(),
          Arrays.toString(x.shape()));
    }
    return g.resolve_neg();
  }

  /** The same for what was pooled from activations of a shape. */
  static Tensor pooledGradient(Tensor g, long... shape) {
    requireFloating("the gradient", g);
    long[] pooled = {shape[0], shape[1], shape[2] / 2, shape[3] / 2};
    if (!Arrays.equals(g.shape(), pooled)) {
      throw ActclipException.badInput(
          "the gradient has the shape %s: it must be as the output is, of %s",
          Arrays.toString(g.shape()), Arrays.toString(pooled));
    }
    return g.resolve_neg();
  }

  /** Checks what is pooled, and a threshold for all or for each channel of it. */
  static void requirePoolable(Tensor x, Tensor t) {
    require(x, t);
    if (x.dim() != 4 || x.size(1) < 1 || x.size(2) < 2 || x.size(3) < 2) {
      throw ActclipException.badInput(
          "the activations have the shape %s: max pooling takes (B, C, H, W), H and W 2 at least",
          Arrays.toString(x.shape()));
    }
    if (t.numel() != 1 && (t.dim() < 3 || t.size(-3) != t.numel())) {
      throw ActclipException.badInput(
          "the threshold has the shape %s: after max pooling it is one element, or (C, 1, 1)",
          Arrays.toString(t.shape()));
    }
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
    requireFloating(ACTIVATIONS, tensor);
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
