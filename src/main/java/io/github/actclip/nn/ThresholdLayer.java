package io.github.actclip.nn;

import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A layer that limits activations by thresholds that are learned: a {@link Clip} or a {@link
 * FakeQuantize}. Register it in a {@link Network} of yours, and hold it in a field.
 *
 * <p>Make it outside of a {@link TensorScope}, which would close it. The forward pass may run in
 * several threads at once as long as nobody changes the thresholds.
 */
public abstract class ThresholdLayer extends Module {

  private static final long POOL_SIZE = 2;
  private static final Consumer<Tensor> NOTHING = x -> {};

  private final int channels;
  private final int axis;
  private final List<Threshold> thresholds = new ArrayList<>();
  private final ActivationMonitor monitor = new ActivationMonitor();
  private volatile Consumer<Tensor> preparation = NOTHING;

  ThresholdLayer(String name, int channels, int axis) {
    super(name);
    LibTorch.load(); // Module's own initialiser may have loaded it, but did not size its pools.
    this.channels = channels;
    this.axis = axis;
  }

  /**
   * Limits activations.
   *
   * @param x of any shape that has the layer's channels, float64, float32, bfloat16 or float16, on
   *     the layer's device; changed only by the clip in place
   * @return of the shape and dtype of x; the caller's scope owns it
   * @throws ActclipException when the layer was closed, or x is of another kind than it takes
   */
  public final Tensor forward(Tensor x) {
    requireOpen();
    requireChannels(x);
    preparation.accept(x);
    if (isObserved()) {
      observe(x);
    }
    return limit(x);
  }

  /** What {@link #forward} gives for {@link #pooled} activations, in one pass if it knows how. */
  public final Tensor forwardPooled(Tensor x) {
    observePooled(x::detach);
    return limitPooled(x);
  }

  /** Observes {@link #pooled} activations where that is due, for which x is then asked. */
  public final void observePooled(Supplier<Tensor> x) {
    requireOpen();
    if (isObserved()) {
      try (TensorScope scope = new TensorScope()) {
        scope.noGrad();
        observe(pooled(x.get()));
      }
    }
  }

  /**
   * By what {@link #forwardPooled} clips where it does no more than that: of one element, or
   * (channels, 1, 1).
   */
  public final Optional<Tensor> poolThreshold() {
    requireOpen();
    return clipsPooled() ? Optional.of(ofImages(limitAbove())) : Optional.empty();
  }

  /** Activations after max pooling, and after ReLU where this layer does not rectify. */
  public final Tensor pooled(Tensor x) {
    Tensor largest = torch.max_pool2d(x, POOL_SIZE);
    return rectifies() ? largest : largest.relu_(); // the backward of pooling needs its input only
  }

  /** What is learned, in the order of registration; it is the layer's. */
  public final List<Threshold> thresholds() {
    return List.copyOf(thresholds);
  }

  /**
   * A copy of the value above which the layer clips (of the generalised ReLU: up to which its
   * output is 0), (1) or (channels), without a gradient; the caller's scope owns it.
   */
  public final Tensor upper() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return scope.pass(limitAbove().clone());
    }
  }

  /** What the last observed forward pass looked like; empty before the first. */
  public final Optional<ActivationStatistics> statistics() {
    return monitor.last(thresholds.get(0).parameter());
  }

  /** Looks at activations without limiting them, and without a trace in the layer. */
  public final ActivationStatistics statistics(Tensor x) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return ActivationMonitor.look(x, top(x), thresholds.get(0).parameter());
    }
  }

  /**
   * Sets the thresholds of each channel from data, as a start for training. LSQ+'s offset, a lower
   * threshold, an untied clip's value that was chosen, and a channel that has nothing above 0 stay
   * as they are; a clip that was given a floor does not go below it. Where it throws, nothing was
   * changed.
   *
   * @param x as {@link #forward} takes it; it is not changed
   * @throws ActclipException when it does not suit, see {@link Calibration#threshold}, when a
   *     quantizer's scale would be below the least one, or when the layer has no upper threshold,
   *     as the generalised ReLU
   */
  public abstract void calibrate(Tensor x, Calibration calibration);

  /** Calibrates from the first activations that come to {@link #forward}. */
  final void calibrateOnForward(Calibration calibration) {
    preparation =
        x -> {
          endCalibration();
          calibrate(x, calibration);
        };
  }

  final void endCalibration() {
    preparation = NOTHING;
  }

  /** Stops learning all thresholds; said in the log. */
  public final void freeze() {
    thresholds.forEach(Threshold::freeze);
  }

  /** Learns all thresholds again; said in the log. */
  public final void unfreeze() {
    thresholds.forEach(Threshold::unfreeze);
  }

  /** Whether it takes the place of the ReLU before it. */
  boolean rectifies() {
    return false;
  }

  /**
   * Whether {@link #limitPooled} is no more than a clip from above, of images' channels, with its
   * exact gradient where one is recorded.
   */
  boolean clipsPooled() {
    return false;
  }

  /** Computes the output for {@link #pooled} activations. */
  public Tensor limitPooled(Tensor x) {
    return limit(pooled(x));
  }

  /** Computes the output. */
  public abstract Tensor limit(Tensor x);

  /** The value above which it clips, (1) or (channels). */
  abstract Tensor limitAbove();

  final Threshold register(Threshold threshold) {
    thresholds.add(threshold);
    return threshold;
  }

  final int channels() {
    return channels;
  }

  /**
   * The upper threshold of each channel for these activations; NaN for one of several channels that
   * has nothing to be limited.
   */
  final double[] tops(Tensor x, Calibration calibration, int bits, boolean signed) {
    requireOpen();
    requireChannels(x);
    Calibration.requireFloatingPoint(x);
    double[] tops = new double[channels];
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      for (int c = 0; c < channels; c++) {
        Tensor channel = channels == 1 ? x : x.select(axis, c);
        boolean dead = channels > 1 && channel.numel() > 0 && isDead(channel, signed);
        tops[c] = dead ? Double.NaN : calibration.threshold(channel, bits, signed);
      }
    }
    return tops;
  }

  private static boolean isDead(Tensor channel, boolean signed) {
    return (signed ? channel.abs() : channel).max().item_double() <= 0;
  }

  private Tensor ofImages(Tensor value) {
    return channels == 1 ? value : value.view(channels, 1, 1);
  }

  /** A value of shape (1) or (channels) in a shape that broadcasts to x's. */
  final Tensor broadcast(Tensor value, Tensor x) {
    if (channels == 1) {
      return value;
    }
    long position = requireChannels(x);
    long[] shape = new long[Math.toIntExact(x.dim() - position)];
    Arrays.fill(shape, 1);
    shape[0] = channels;
    return value.view(shape);
  }

  private long requireChannels(Tensor x) {
    Arguments.requireTensor("the activations", x);
    long position = axis < 0 ? axis + x.dim() : axis;
    if (channels > 1 && (position < 0 || position >= x.dim() || x.size(position) != channels)) {
      throw ActclipException.badInput(
          "the activations have the shape %s: this layer takes %d channels along dimension %d",
          Arrays.toString(x.shape()), channels, axis);
    }
    return position;
  }

  public final void requireOpen() {
    if (isNull()) {
      throw ActclipException.badInput(
          "this layer was closed: make it outside of the scope that closed it");
    }
  }

  private boolean isObserved() {
    return GradMode.is_enabled() && monitor.isDue();
  }

  private void observe(Tensor x) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      monitor.observe(x, top(x));
    }
  }

  /** The threshold as the clip compares x with it. */
  private Tensor top(Tensor x) {
    return ClipOp.fit(x, broadcast(limitAbove(), x));
  }
}
