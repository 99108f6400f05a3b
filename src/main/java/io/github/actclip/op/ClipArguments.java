package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
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
  static final String GRADIENT = "the gradient";

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
    Arguments.requireSameDevice("the activations are", x, "the threshold is", t);
    requireBroadcast(x.shape(), t);
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
   * @return the same, {@link #inMemory}
   */
  static Tensor gradient(Tensor g, Tensor x) {
    requireFloating(GRADIENT, g);
    Arguments.requireSameDevice("the activations are", x, "the gradient is", g);
    if (!Arrays.equals(g.shape(), x.shape())
        || g.scalar_type().intern() != x.scalar_type().intern()) {
      throw ActclipException.badInput(
          "the gradient is %s of the shape %s: it must be as the output is, %s of %s",
          g.scalar_type().intern(),
          Arrays.toString(g.shape()),
          x.scalar_type().intern(),
          Arrays.toString(x.shape()));
    }
    return inMemory(g);
  }

  /** Checks what the backward pass of pooling gets; its codes' shape is the backend's to check. */
  static Tensor pooledGradient(Tensor g, Tensor codes, Tensor t, long... shape) {
    requireFloating(GRADIENT, g);
    requireFloating(THRESHOLD, t);
    Arguments.requireTensor("the codes", codes);
    Arguments.requireSameDevice("the gradient is", g, "the threshold is", t);
    Arguments.requireSameDevice("the gradient is", g, "the codes are", codes);
    requirePoolable(shape, t);
    long[] pooled = {shape[0], shape[1], shape[2] / 2, shape[3] / 2};
    if (!Arrays.equals(g.shape(), pooled)) {
      throw ActclipException.badInput(
          "the gradient has the shape %s: it must be as the output is, of %s",
          Arrays.toString(g.shape()), Arrays.toString(pooled));
    }
    return inMemory(g);
  }

  static ActclipException wrongCodes() {
    return ActclipException.badInput(
        "the codes are not those that max pooling of activations of this shape gave");
  }

  /** With its numbers in memory, where a lazy negation or a tensor of zeros leaves them out. */
  static Tensor inMemory(Tensor g) {
    return g.is_neg() || g._is_zerotensor() ? g.clone() : g;
  }

  /** Checks what is pooled, and a threshold for all or for each channel of it. */
  static void requirePoolable(Tensor x, Tensor t) {
    require(x, t);
    requirePoolable(x.shape(), t);
  }

  /** Checks what is pooled without a threshold. */
  static void requirePoolable(Tensor x) {
    requireFloating(ACTIVATIONS, x);
    requirePoolable(x.shape());
  }

  private static void requirePoolable(long[] x, Tensor t) {
    requirePoolable(x);
    requireBroadcast(x, t);
    if (t.numel() != 1 && (t.dim() < 3 || t.size(-3) != t.numel())) {
      throw ActclipException.badInput(
          "the threshold has the shape %s: after max pooling it is one element, or (C, 1, 1)",
          Arrays.toString(t.shape()));
    }
  }

  private static void requirePoolable(long... x) {
    if (x.length != 4 || x[0] < 0 || x[1] < 1 || x[2] < 2 || x[3] < 2) {
      throw ActclipException.badInput(
          "the activations have the shape %s: max pooling takes (B, C, H, W), H and W 2 at least",
          Arrays.toString(x));
    }
  }

  static void requireFloating(String what, Tensor tensor) {
    Arguments.requireStrided(what, tensor, "a clip");
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

  private static void requireBroadcast(long[] x, Tensor threshold) {
    if (threshold.numel() == 1) {
      return;
    }
    long[] t = threshold.shape();
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
}
