package io.github.actclip.nn;

import io.github.actclip.autograd.LowerBound;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorMeaning;
import io.github.actclip.runtime.TensorNotes;
import io.github.actclip.runtime.TensorScope;
import java.lang.ref.WeakReference;
import java.nio.DoubleBuffer;
import java.util.Optional;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A learned threshold (or scale, or offset) of a layer: its parameter, which an optimizer moves,
 * and the value that the layer uses.
 *
 * <p>The parameter is (1) or (channels), float32 unless the module is moved to another dtype, and
 * stays so whatever the activations are. It lives as long as its layer. Reading is thread-safe as
 * long as nobody changes the layer.
 */
public final class Threshold {

  /** What weight decay is to pull towards 0. */
  public enum Decay {
    /** The parameter, as LibTorch's optimizers do: the value comes along. */
    PARAMETER,
    /** The value: towards 0, a parameter such as its logarithm would go elsewhere with it. */
    VALUE,
    /** Nothing. */
    NONE
  }

  private static final Logger LOG = Loggers.of(Threshold.class);

  /** By their parameters, by which a network finds them. */
  private static final TensorNotes<WeakReference<Threshold>> ALL = new TensorNotes<>();

  private final ThresholdLayer layer;

  private final String name;
  private final Tensor parameter;
  private final ThresholdKind kind;
  private final LowerBound lowerBound;
  private final String meaning;
  private volatile boolean frozen;

  /**
   * Registers a threshold's parameter with its layer.
   *
   * @param name of the value; the parameter has this name, too, or {@code raw_} before it when it
   *     is not the value itself
   */
  Threshold(ThresholdLayer layer, String name, double initial, long channels, ThresholdKind kind) {
    this.layer = layer;
    this.name = name;
    this.kind = kind;
    lowerBound = kind.hasFloor() ? new LowerBound(kind.floor()) : null;
    require(initial);
    try (TensorScope scope = new TensorScope()) {
      Tensor raw = torch.full(new long[] {channels}, raw(initial).item());
      // A handle of its own: what register_parameter returns dies with the module. Kept, since a
      // network keeps the layer beyond a scope that is open now.
      parameter = scope.keep(new Tensor(layer.register_parameter(parameterName(), raw, true)));
    }
    meaning = kind.layer() + ", parameterization=" + kind.parameterization();
    TensorMeaning.set(parameter, meaning);
    ALL.set(parameter, new WeakReference<>(this));
  }

  /** The threshold whose parameter this is, if it is one's. */
  static Optional<Threshold> of(Tensor parameter) {
    return ALL.of(parameter).map(WeakReference::get);
  }

  /** The layer that limits by it. */
  public ThresholdLayer layer() {
    return layer;
  }

  /** Whether its parameter is one of these. */
  public boolean isAmong(TensorVector parameters) {
    for (long i = 0; i < parameters.size(); i++) {
      if (parameter().is_same(parameters.get(i))) {
        return true;
      }
    }
    return false;
  }

  /** What it is called in its layer, such as {@code max}. */
  public String name() {
    return name;
  }

  /** What the parameter is called in its layer: the name, or {@code raw_} and the name. */
  public String parameterName() {
    return kind.parameterization() == Parameterization.RAW ? name : "raw_" + name;
  }

  /**
   * What the parameter's number means: all that the layer computes by besides its numbers, such as
   * {@code form=RELU, parameterization=EXP}. How it learns is no part of it. The parameter has it
   * as its {@link TensorMeaning}, with which state dicts are written and checked.
   */
  public String meaning() {
    return meaning;
  }

  /**
   * What is learned: (1) or (channels) float32; it is the layer's.
   *
   * @throws ActclipException bad input when it was closed, as all methods do that read or change it
   */
  public Tensor parameter() {
    String what = "the threshold " + name;
    Arguments.requireOpen(what, layer);
    Arguments.requireOpen(what, parameter);
    return parameter;
  }

  /**
   * The value that the layer uses, differentiable by the parameter, of its shape; the caller's
   * scope owns it.
   */
  public Tensor value() {
    Tensor value = withoutFloor();
    return lowerBound == null ? value : lowerBound.bound(value);
  }

  /**
   * The value as learned, which may be below the floor, differentiable by the parameter; the
   * caller's scope owns it.
   */
  public Tensor withoutFloor() {
    return kind.parameterization() == Parameterization.RAW
        ? new Tensor(parameter()) // a handle that may be closed without closing the parameter
        : kind.parameterization().value(parameter());
  }

  /**
   * What weight decay is to pull towards 0: the parameter where it is the value, but for its sign;
   * else the value; nothing for the threshold of {@link QuantizationMethod#TQT}.
   */
  public Decay decay() {
    return kind.decay();
  }

  /**
   * Multiplies the values of all channels by a number, as decoupled weight decay does; the floor
   * does not hold them.
   *
   * @throws ActclipException when the number is not above 0, or not finite
   */
  public void scale(double factor) {
    if (!(factor > 0 && factor <= Float.MAX_VALUE)) {
      throw ActclipException.badInput(
          "the threshold %s can be multiplied by a finite number above 0, and not by %s",
          name, factor);
    }
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor value = kind.parameterization().value(parameter().to(ScalarType.Double));
      parameter().copy_(kind.parameterization().inverse(value.mul(new Scalar(factor))));
    }
  }

  /** The mean of the values over the channels. */
  public double mean() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return value().mean().item_double();
    }
  }

  /** The largest of the values of the channels. */
  double largest() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return value().max().item_double();
    }
  }

  /**
   * Sets the value of every channel.
   *
   * @throws ActclipException when it is not finite, below the floor, or not above 0 where it must
   *     be
   */
  public void set(double value) {
    require(value);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      parameter().fill_(raw(value).item());
    }
  }

  /**
   * Sets the values of the channels, or the floor where one is below it; NaN leaves a channel as it
   * is. Where it throws, nothing was changed.
   *
   * @throws ActclipException when one is infinite, or not above 0 where it must be
   */
  void setOrFloor(double... values) {
    double[] floored = values.clone();
    for (int c = 0; c < values.length; c++) {
      if (!Double.isNaN(values[c])) {
        floored[c] = Math.max(values[c], kind.floor());
        require(floored[c]);
      }
    }
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor raw = raw(floored).to(parameter().device(), parameter().scalar_type());
      parameter().copy_(torch.where(raw.isnan(), parameter(), raw));
    }
  }

  /**
   * Stops learning, at once: the parameter stands still, whichever optimizer it is in. Said in the
   * log.
   *
   * <p>The parameter has no gradient from here on, also none that backward has just left:
   * LibTorch's optimizers move whatever has one, be it of zeros, by momentum and weight decay, and
   * leave out what has none. Their own state stays, so that momentum from before counts again after
   * {@link #unfreeze}.
   */
  public void freeze() {
    parameter().set_requires_grad(false);
    parameter().mutable_grad().reset();
    frozen = true;
    LOG.info("The threshold {} is frozen at {}", name, mean());
  }

  /** Learns again. Said in the log. */
  public void unfreeze() {
    parameter().set_requires_grad(true);
    frozen = false;
    LOG.info("The threshold {} learns again, from {}", name, mean());
  }

  /**
   * Whether it gets no gradient because {@link #freeze} said so: false of a parameter that merely
   * does not require one, which is a mistake more often than not.
   */
  public boolean isFrozen() {
    return frozen && !parameter().requires_grad();
  }

  /**
   * Whether rounding moves it, too, and not only what is clipped, as of LSQ and TQT: a channel that
   * gets no gradient then is one to which none comes.
   */
  public boolean isMovedByRounding() {
    return kind.movedByRounding();
  }

  /** Whether only a value above 0 makes sense: true of an upper threshold and of a scale. */
  public boolean isPositive() {
    return kind.positive();
  }

  private void require(double value) {
    if (!(Math.abs(value) <= Float.MAX_VALUE) || (kind.mustBePositive() && (float) value <= 0)) {
      throw ActclipException.badInput(
          "the threshold %s (%s) must be a finite number%s",
          name, value, kind.mustBePositive() ? " above 0" : "");
    }
    if (value < kind.floor()) {
      throw ActclipException.badInput(
          "the threshold %s (%s) must be at least its floor (%s)", name, value, kind.floor());
    }
  }

  /** What the parameter has to be, float64. */
  private Tensor raw(double... values) {
    Tensor wide =
        torch.empty(new long[] {values.length}, new TensorOptions(ScalarType.Double), null);
    wide.<DoubleBuffer>createBuffer().put(values);
    return kind.parameterization().inverse(wide);
  }
}
