package io.github.actclip.op;

import io.github.actclip.testing.Fixture;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A clip, what LibTorch's autograd makes of the expression that it stands for, and what a loop in
 * float64 sums up.
 */
record ClipCase(Limits limits) {

  private static final double NAN = Double.NaN;
  private static final double INF = Double.POSITIVE_INFINITY;

  /** Every form, with thresholds that are tied with some of the values of {@link Samples}. */
  static Stream<ClipCase> all(ScalarType type, long... shape) {
    return Stream.of(
            above(0.5),
            above(0),
            above(-0.75),
            above(INF),
            above(-INF),
            above(NAN),
            relu(0.5),
            relu(0),
            relu(-0.5),
            between(-0.5, 0.75),
            between(1, -1),
            between(NAN, 0.5),
            new Values(true, 0.75, 0.25, null),
            new Values(false, 0.5, null, 0.25),
            new Values(false, -0.25, null, -3.0))
        .map(values -> values.in(type, shape));
  }

  private static Values above(double t) {
    return new Values(false, t, null, null);
  }

  private static Values relu(double t) {
    return new Values(true, t, null, null);
  }

  private static Values between(double lo, double hi) {
    return new Values(false, hi, lo, null);
  }

  private record Values(boolean relu, double upper, Double lower, Double value) {

    ClipCase in(ScalarType type, long... shape) {
      return new ClipCase(
          new Limits(
              relu,
              tensor(upper, type, shape),
              lower == null ? null : tensor(lower, type, shape),
              value == null ? null : tensor(value, type, shape)));
    }

    /** The thresholds of a shape go up in steps of an eighth. */
    private static Tensor tensor(double first, ScalarType type, long... shape) {
      double[] values = new double[(int) Samples.count(shape)];
      for (int i = 0; i < values.length; i++) {
        values[i] = first + i / 8.0;
      }
      return Tensor.create(values, shape).to(type);
    }
  }

  /** The same with thresholds that many dtypes must round. */
  ClipCase moved(double by) {
    Scalar distance = new Scalar(by);
    return with(threshold -> threshold.add(distance));
  }

  /** The same on a device. */
  ClipCase on(Device device) {
    return with(threshold -> threshold.to(device, threshold.scalar_type()));
  }

  private ClipCase with(UnaryOperator<Tensor> change) {
    return new ClipCase(
        new Limits(
            limits.relu(),
            change.apply(limits.upper()),
            limits.lower() == null ? null : change.apply(limits.lower()),
            limits.value() == null ? null : change.apply(limits.value())));
  }

  /** The plain expression. */
  Tensor expression(Tensor x) {
    Tensor r = limits.relu() ? torch.relu(x) : x;
    if (limits.lower() != null) {
      Tensor lower = of(x, limits.lower());
      r = torch.where(r.lt(lower), lower, r);
    }
    Tensor value = limits.value() == null ? limits.upper() : limits.value();
    return torch.where(r.gt(of(x, limits.upper())), of(x, value), r);
  }

  /** The gradient of an expression of x, as LibTorch's autograd gives it. */
  static Tensor gradient(Tensor y, Tensor x, Tensor g) {
    return torch
        .grad(
            new TensorVector(y),
            new TensorVector(x),
            new TensorVector(g),
            new BoolOptional(),
            false,
            false)
        .get(0);
  }

  private static Tensor of(Tensor x, Tensor threshold) {
    Tensor fitted = threshold.dim() > x.dim() ? threshold.view(new long[0]) : threshold;
    return fitted.to(x.scalar_type());
  }

  /** What the elements that share a threshold sum up to, in the order of {@link Sums.Of}. */
  record Loop(double[][] sums, double[] absolute) {}

  /** The sums for the upper threshold, or the value above it. */
  Loop above(Tensor x, Tensor g) {
    return loop(x, g, true);
  }

  /** The sums for the lower threshold. */
  Loop below(Tensor x, Tensor g) {
    return loop(x, g, false);
  }

  private Loop loop(Tensor x, Tensor g, boolean upper) {
    double[] xs = Fixture.values(x);
    double[] gs = Fixture.values(g);
    double[] his = Fixture.values(of(x, limits.upper()));
    double[] los = limits.lower() == null ? null : Fixture.values(of(x, limits.lower()));
    int[] owner = owners(x, limits.upper());
    Loop loop = new Loop(new double[4][his.length], new double[his.length]);
    DoubleUnaryOperator relu = v -> limits.relu() ? (v < 0 ? 0 : v) : v;
    for (int i = 0; i < xs.length; i++) {
      int k = owner[i];
      double r = relu.applyAsDouble(xs[i]);
      boolean under = los != null && r < los[k];
      boolean above = (under ? los[k] : r) > his[k];
      boolean clipped = upper ? above : under && !above;
      if (clipped || xs[i] > 0) {
        loop.sums[clipped ? 0 : 2][k] += gs[i];
        loop.sums[clipped ? 1 : 3][k]++;
      }
      loop.absolute[k] += Math.abs(gs[i]);
    }
    return loop;
  }

  /** For each element of x, the place of its threshold. */
  private static int[] owners(Tensor x, Tensor threshold) {
    long count = threshold.numel();
    double[] places = new double[(int) count];
    for (int i = 0; i < places.length; i++) {
      places[i] = i;
    }
    long[] shape = count == 1 ? new long[0] : threshold.shape();
    double[] owners = Fixture.values(Tensor.create(places, shape).expand(x.shape()));
    int[] result = new int[owners.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = (int) owners[i];
    }
    return result;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "relu %s, upper %s, lower %s, value %s",
        limits.relu(),
        text(limits.upper()),
        text(limits.lower()),
        text(limits.value()));
  }

  private static String text(Tensor threshold) {
    return threshold == null
        ? "none"
        : Arrays.toString(threshold.shape())
            + " from "
            + (threshold.numel() == 0 ? "" : Fixture.values(threshold)[0]);
  }
}
