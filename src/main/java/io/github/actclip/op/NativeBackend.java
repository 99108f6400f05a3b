package io.github.actclip.op;

import java.lang.ref.Reference;
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
    boolean suits =
        isThere(x)
            && isThere(thresholds[0])
            && NativeKernels.suit(
                x.address(), address(thresholds, 0), address(thresholds, 1), address(thresholds, 2))
            && !x.is_neg();
    for (int i = 0; suits && i < thresholds.length; i++) {
      suits = !thresholds[i].is_neg();
    }
    return suits;
  }

  /** The kernels' own check is several times faster; what it does not take, the other explains. */
  @Override
  public Tensor gradient(Tensor g, Tensor x) {
    boolean suits =
        isThere(g) && NativeKernels.suitsAsGradient(g.address(), x.address()) && !g.is_neg();
    return suits ? g : ClipBackend.super.gradient(g, x);
  }

  private static boolean isThere(Tensor tensor) {
    return tensor != null && !tensor.isNull();
  }

  @Override
  public Tensor clip(Tensor x, Limits limits) {
    Tensor y = new Tensor();
    NativeKernels.clip(
        address(x),
        address(limits.upper()),
        address(limits.lower()),
        address(limits.value()),
        limits.relu(),
        y.address());
    keep(x, limits, y);
    return y;
  }

  @Override
  public Tensor clipFew(Tensor x, Tensor t, boolean relu, long limit) {
    Tensor y = new Tensor();
    boolean done = NativeKernels.clipSmall(address(x), address(t), relu, limit, y.address());
    keep(x, t, y);
    return done ? y : null;
  }

  @Override
  public Tensor[] clipBackward(Tensor g, Tensor x, Limits limits, boolean... wanted) {
    Tensor byAbove = new Tensor(); // by the value that stands there, which may be the threshold's
    Tensor[] gradients = {new Tensor(), byAbove, new Tensor(), byAbove};
    NativeKernels.clipBackward(
        address(g),
        address(x),
        address(limits.upper()),
        address(limits.lower()),
        address(limits.value()),
        limits.relu(),
        gradients[0].address(),
        byAbove.address(),
        gradients[2].address());
    keep(g, x, limits, gradients);
    return gradients;
  }

  @Override
  public Sums[] statistics(Tensor g, Tensor x, Limits limits) {
    Tensor all = new Tensor();
    NativeKernels.clipStatistics(
        address(g),
        address(x),
        address(limits.upper()),
        address(limits.lower()),
        limits.relu(),
        all.address());
    keep(g, x, limits, all);
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
    NativeKernels.maxPoolClip(
        address(x), address(t), relu, pooled.output().address(), pooled.codes().address());
    keep(x, t, pooled);
    return pooled;
  }

  @Override
  public Tensor[] maxPoolClipBackward(Tensor g, Tensor codes, Tensor t, long... shape) {
    Tensor[] gradients = {new Tensor(), new Tensor()};
    NativeKernels.maxPoolClipBackward(
        address(g),
        address(codes),
        address(t),
        shape[2],
        shape[3],
        isChannelsLast(codes, shape),
        gradients[0].address(),
        gradients[1].address());
    keep(g, codes, t, gradients);
    return gradients;
  }

  /** A row of codes, half a byte each, is one of all channels where the output was so. */
  private static boolean isChannelsLast(Tensor codes, long... shape) {
    long rows = shape[0] * (shape[2] / 2);
    long outputs = shape[1] * (shape[3] / 2);
    return codes.size(0) == rows && codes.size(1) == (outputs + 1) / 2;
  }

  @Override
  public Tensor fakeQuantize(Tensor x, Grid grid) {
    Tensor y = new Tensor();
    NativeKernels.fakeQuantize(
        address(x),
        address(grid.scale()),
        address(grid.offset()),
        grid.low(),
        grid.high(),
        y.address());
    keep(x, grid, y);
    return y;
  }

  @Override
  public Tensor[] fakeQuantizeBackward(
      Tensor g, Tensor x, Grid grid, ScaleGradient rule, boolean... wanted) {
    Tensor[] gradients = {new Tensor(), new Tensor(), new Tensor()};
    NativeKernels.fakeQuantizeBackward(
        address(g),
        address(x),
        address(grid.scale()),
        address(grid.offset()),
        grid.low(),
        grid.high(),
        rule.ordinal(),
        gradients[0].address(),
        gradients[1].address(),
        gradients[2].address());
    keep(g, x, grid, gradients);
    return gradients;
  }

  private static long address(Tensor[] tensors, int index) {
    return index < tensors.length ? address(tensors[index]) : 0;
  }

  private static long address(Tensor tensor) {
    return tensor == null ? 0 : tensor.address();
  }

  /** Holds what a kernel works on, which the garbage collector would free after its last use. */
  private static void keep(Object... used) {
    Reference.reachabilityFence(used);
  }
}
