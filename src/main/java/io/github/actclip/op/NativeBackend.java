package io.github.actclip.op;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LargeTensors;
import java.lang.ref.Reference;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;

/**
 * The clips as kernels of this library, one pass each. Takes tensors on the CPU, and on CUDA
 * devices when those kernels are in use, whose thresholds are one for all or one for each index
 * along one dimension.
 */
final class NativeBackend implements ClipBackend {

  /** How many sums the kernel gives for each threshold. */
  private static final int SUMS = Sums.Of.values().length;

  @Override
  public boolean supports(Tensor x, Tensor... thresholds) {
    return isThere(x)
        && areThere(thresholds)
        && NativeKernels.suit(
            address(x), address(thresholds, 0), address(thresholds, 1), address(thresholds, 2))
        && !x.is_neg()
        && !isAnyNegated(thresholds);
  }

  static boolean isThere(Tensor tensor) {
    return tensor != null && !tensor.isNull();
  }

  static boolean areThere(Tensor... tensors) {
    for (Tensor tensor : tensors) {
      if (!isThere(tensor)) {
        return false;
      }
    }
    return true;
  }

  /** The kernels' own check is several times faster; what it does not take, the other explains. */
  @Override
  public Tensor gradient(Tensor g, Tensor x) {
    boolean suits =
        isThere(g) && NativeKernels.suitsAsGradient(address(g), address(x)) && !g.is_neg();
    return suits ? g : ClipBackend.super.gradient(g, x);
  }

  @Override
  public Tensor clip(Tensor x, Limits limits) {
    Tensor y = LargeTensors.like(x);
    run(
        () ->
            NativeKernels.clip(
                address(x),
                address(limits.upper()),
                address(limits.lower()),
                address(limits.value()),
                limits.relu(),
                address(y)));
    return y;
  }

  @Override
  public Tensor clipFew(Tensor x, Tensor t, boolean relu, long limit) {
    if (x.numel() >= limit) {
      return null;
    }
    Tensor y = new Tensor();
    run(() -> NativeKernels.clipFew(address(x), address(t), relu, limit, address(y)));
    return y.defined() ? y : null;
  }

  @Override
  public Tensor[] clipBackward(Tensor g, Tensor x, Limits limits, boolean... wanted) {
    Tensor byAbove = new Tensor(); // by the value that stands there, which may be the threshold's
    Tensor byLower = limits.lower() == null ? null : new Tensor();
    Tensor[] gradients = {LargeTensors.like(x), byAbove, byLower, byAbove};
    run(
        () ->
            NativeKernels.clipBackward(
                address(g),
                address(x),
                address(limits.upper()),
                address(limits.lower()),
                address(limits.value()),
                limits.relu(),
                address(gradients[0]),
                address(byAbove),
                address(byLower)));
    return gradients;
  }

  @Override
  public Sums[] statistics(Tensor g, Tensor x, Limits limits) {
    Tensor all = new Tensor();
    run(
        () ->
            NativeKernels.clipStatistics(
                address(g),
                address(x),
                address(limits.upper()),
                address(limits.lower()),
                limits.relu(),
                address(all)));
    return new Sums[] {sums(all, 0), sums(all, SUMS)};
  }

  /** A rule may write to what it gets, so each is a copy. */
  private static Sums sums(Tensor all, int first) {
    return (what, threshold) ->
        all.select(0, first + what.ordinal()).clone().view(threshold.shape());
  }

  @Override
  public Pooled maxPoolClip(Tensor x, Tensor t, boolean relu) {
    Pooled pooled = new Pooled(new Tensor(), new Tensor());
    run(
        () ->
            NativeKernels.maxPoolClip(
                address(x), address(t), relu, address(pooled.output()), address(pooled.codes())));
    return pooled;
  }

  /** Whether memory holds what they are. */
  static boolean areReadable(Tensor... tensors) {
    return areThere(tensors) && !isAnyNegated(tensors);
  }

  /** Lazily: the kernels would read what is not negated. */
  static boolean isAnyNegated(Tensor... tensors) {
    for (Tensor tensor : tensors) {
      if (isThere(tensor) && tensor.defined() && tensor.is_neg()) {
        return true;
      }
    }
    return false;
  }

  @Override
  public Tensor[] maxPoolClipBackward(Tensor g, Tensor codes, Tensor t, long... shape) {
    boolean channelsLast = isChannelsLast(codes, shape);
    Tensor[] gradients = {new Tensor(), new Tensor()};
    run(
        () ->
            NativeKernels.maxPoolClipBackward(
                address(g),
                address(codes),
                address(t),
                shape[2],
                shape[3],
                channelsLast,
                address(gradients[0]),
                address(gradients[1])));
    return gradients;
  }

  /** A row of codes, half a byte each, is one of all channels where the output was so. */
  private static boolean isChannelsLast(Tensor codes, long... shape) {
    long rows = shape[0] * (shape[2] / 2);
    long columns = shape[3] / 2;
    long[] ofAllChannels = {rows, (shape[1] * columns + 1) / 2};
    long[] ofOne = {rows * shape[1], (columns + 1) / 2};
    boolean channelsLast = Arrays.equals(codes.shape(), ofAllChannels);
    if (!channelsLast && !Arrays.equals(codes.shape(), ofOne)) {
      throw ClipArguments.wrongCodes();
    }
    return channelsLast;
  }

  @Override
  public Tensor fakeQuantize(Tensor x, Grid grid) {
    Tensor y = LargeTensors.like(x);
    run(
        () ->
            NativeKernels.fakeQuantize(
                address(x),
                address(grid.scale()),
                address(grid.offset()),
                grid.low(),
                grid.high(),
                address(y)));
    return y;
  }

  @Override
  public Tensor[] fakeQuantizeBackward(
      Tensor g, Tensor x, Grid grid, ScaleGradient rule, boolean... wanted) {
    Tensor[] gradients = {LargeTensors.like(x), new Tensor(), new Tensor()};
    run(
        () ->
            NativeKernels.fakeQuantizeBackward(
                address(g),
                address(x),
                address(grid.scale()),
                address(grid.offset()),
                grid.low(),
                grid.high(),
                rule.ordinal(),
                address(gradients[0]),
                address(gradients[1]),
                address(gradients[2])));
    return gradients;
  }

  static long address(Tensor[] tensors, int index) {
    return index < tensors.length ? address(tensors[index]) : 0;
  }

  /** Of the C++ object: one of several in a row has a position from the first. */
  static long address(Tensor tensor) {
    if (tensor == null) {
      return 0;
    }
    long position = tensor.position();
    return position == 0 ? tensor.address() : tensor.address() + position * tensor.sizeof();
  }

  /**
   * Runs a kernel on arguments that were checked: what it throws is no fault of theirs. Holds the
   * tensors that the task refers to, which the garbage collector would free after their last use.
   */
  static void run(Runnable task) {
    try {
      task.run();
    } catch (RuntimeException e) {
      throw ActclipException.failure(e, "the kernels: %s", ActclipException.firstLine(e));
    } finally {
      Reference.reachabilityFence(task);
    }
  }
}
