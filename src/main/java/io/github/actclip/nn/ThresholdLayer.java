package io.github.actclip.nn;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.ReluLimit;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Internal;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
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
  private volatile Consumer<Tensor> viewer = NOTHING;

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
    if (isLooking()) {
      look(x);
    }
    return limit(x);
  }

  /**
   * Whether the layer is to {@link #look} at what this forward pass brings it; to be asked once a
   * pass, as {@link #forward} does.
   */
  @Internal
  public final boolean isLooking() {
    return isShowing() || isObserved();
  }

  /** Looks at what comes to it, where something else than {@link #forward} limits that. */
  @Internal
  public final void look(Tensor x) {
    if (isShowing()) {
      viewer.accept(x);
    } else {
      observe(x, false);
    }
  }

  /** {@link Blocks#convMaxPoolClip} of what is open. */
  Tensor convMaxPool(Conv2dImpl conv, Tensor x) {
    Tensor largest = torch.max_pool2d(conv.forward(x), POOL_SIZE);
    return rectified(largest); // backward needs pooling's input only
  }

  /** {@link Blocks#reluClip} of what is open. */
  final Tensor rectified(Tensor x) {
    requireChannels(x);
    if (!isLooking()) {
      return limitRectified(x);
    }
    Tensor shown = rectifies() ? x : ReluLimit.rectified(x);
    look(shown);
    return limit(shown);
  }

  /** {@link Blocks#batchNormClip} of what is open. */
  final Tensor normalized(BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    // The short way is one of the CPU: on a GPU nothing is to be computed just to ask for it.
    boolean isPlain = isShowing() || !x.is_cpu();
    Optional<Tensor> limited = isPlain ? Optional.empty() : limitNormalized(norm, x, addend);
    limited.ifPresent(this::observeLimited);
    return limited.orElseGet(
        () -> {
          Tensor y =
              ActclipException.inOneSentence(
                  () -> "the normalisation fails on activations " + sizes(x),
                  () -> norm.forward(x));
          addend.ifPresent(
              added ->
                  ActclipException.inOneSentence(
                      () -> "what is added to activations " + sizes(y) + " is " + sizes(added),
                      () -> y.add_(added)));
          return rectified(y);
        });
  }

  /** {@link Blocks#convBatchNormClip} of what is open. */
  final Tensor convNormalized(
      Conv2dImpl conv, BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    Optional<Tensor> limited =
        isShowing() || !x.is_cpu() ? Optional.empty() : limitConvNormalized(conv, norm, x, addend);
    return limited.orElseGet(() -> normalized(norm, conv.forward(x), addend));
  }

  private static String sizes(Tensor tensor) {
    return "of the shape " + Arrays.toString(tensor.shape());
  }

  /** Observes what came out of a clip from above, where that is due, in place of what went in. */
  final void observeLimited(Tensor y) {
    if (isObserved()) {
      observe(y, true);
    }
  }

  /** What is learned, in the order of registration; it is the layer's. */
  public final List<Threshold> thresholds() {
    return List.copyOf(thresholds);
  }

  /**
   * A copy of the value above which the layer clips (of the generalised ReLU: up to which its
   * output is 0; infinity where it does not clip), (1) or (channels), without a gradient; the
   * caller's scope owns it.
   */
  public final Tensor upper() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return scope.pass(limitAbove().clone());
    }
  }

  /**
   * What the last observed forward pass looked like, by at most 4,096 activations, evenly spread
   * over those that came; empty before the first, and of a layer without thresholds. Observed are
   * the first pass that records gradients, and then one of 16, which layers take by turns. {@link
   * Network#observe} looks at all activations.
   *
   * <p>Where {@link Blocks} clip in one pass it sees what was let through: what was clipped is
   * counted in the first tenth above the threshold then, wherever it was, and so is what equalled
   * the threshold, or was rounded to it by a quantizer.
   */
  public final Optional<ActivationStatistics> statistics() {
    return thresholds.stream().findFirst().flatMap(first -> monitor.last(first.parameter()));
  }

  /**
   * Whether forward passes are observed from now on, for {@link #statistics()}; at first they are.
   */
  public final void setObserved(boolean observed) {
    monitor.setEnabled(observed);
  }

  /** Looks at all these activations without limiting them, and without a trace in the layer. */
  final ActivationStatistics statistics(Tensor x) {
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

  /** Sets the thresholds from the weight that this layer quantizes, if it quantizes one. */
  void calibrateWeight() {}

  /** Shows the next activations that come to {@link #forward}, before it limits them. */
  final void showNext(Consumer<Tensor> to) {
    viewer =
        x -> {
          stopShowing();
          to.accept(x);
        };
  }

  final void stopShowing() {
    viewer = NOTHING;
  }

  /** Whether the next activations are to be shown, which must come to {@link #forward} then. */
  final boolean isShowing() {
    return viewer != NOTHING;
  }

  /** Stops learning all thresholds; said in the log. */
  public final void freeze() {
    thresholds.forEach(Threshold::freeze);
  }

  /** Learns all thresholds again; said in the log. */
  public final void unfreeze() {
    thresholds.forEach(Threshold::unfreeze);
  }

  /** {@link LayerGraph#limit} of this layer: of the method for what it is. */
  abstract <V> V describe(LayerGraph<V> graph, V x);

  /** Whether it takes the place of the ReLU before it. */
  boolean rectifies() {
    return false;
  }

  /** Computes the output. */
  abstract Tensor limit(Tensor x);

  /**
   * Computes {@link #limitRectified} of what is normalised, and of what is added to it, in one
   * pass.
   *
   * @return empty, and nothing was changed, where there is no such way
   */
  abstract Optional<Tensor> limitNormalized(
      BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend);

  /**
   * Computes {@link #limitNormalized} of what a convolution makes of x, in one pass with it.
   *
   * @return empty where there is no such way
   */
  Optional<Tensor> limitConvNormalized(
      Conv2dImpl conv, BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    return Optional.empty();
  }

  /** Computes the output of what ReLU makes of x, which may be changed. */
  Tensor limitRectified(Tensor x) {
    return limit(rectifies() ? x : ReluLimit.rectified(x));
  }

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
   * The dimension of the activations along which channels lie, where there are several thresholds;
   * negative counts from the end.
   */
  @Internal
  public final int axis() {
    return axis;
  }

  /**
   * The upper threshold of each channel for these activations; NaN for one of several channels that
   * has nothing to be limited.
   */
  final double[] tops(Tensor x, Calibration calibration, int bits, boolean signed) {
    requireOpen();
    requireChannels(x);
    return channels == 1
        ? new double[] {calibration.threshold(x, bits, signed)}
        : calibration.thresholds(x, axis, bits, signed);
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

  /** Whether its channels, if there are several, are those of (B, C, H, W). */
  final boolean limitsChannelsOfImages() {
    return channels == 1 || axis == 1 || axis == -3;
  }

  /** A value of shape (1) or (channels) as one for (B, channels, H, W). */
  final Tensor broadcastToImages(Tensor value) {
    return channels == 1 ? value : value.view(channels, 1, 1);
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

  final void requireOpen() {
    if (isNull()) {
      throw ActclipException.badInput(
          "this layer was closed: make it outside of the scope that closed it");
    }
  }

  private boolean isObserved() {
    return !thresholds.isEmpty() && GradMode.is_enabled() && monitor.isDue();
  }

  private void observe(Tensor x, boolean limited) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      monitor.observe(x, top(x), limited);
    }
  }

  /** The threshold as the clip compares x with it. */
  private Tensor top(Tensor x) {
    return ClipOp.fit(x, broadcast(limitAbove(), x));
  }
}
