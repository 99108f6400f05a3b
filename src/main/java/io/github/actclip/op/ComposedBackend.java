package io.github.actclip.op;

import java.util.Arrays;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The clips composed of LibTorch's operations, which differentiates what goes forward here. Takes
 * everything: any device, and thresholds that differ along any dimensions.
 */
final class ComposedBackend implements ClipBackend {

  private static final long[] TWO = {2, 2};
  private static final long[] ONE = {1, 1};
  private static final long[] NONE = {0, 0};

  // What became of the largest of four, in a code: 3 times its index, and one of these.
  private static final int STATES = 3;
  private static final int PASSED = 0;
  private static final int RECTIFIED = 1;
  private static final int CLIPPED = 2;

  @Override
  public boolean supports(Tensor x, Tensor... thresholds) {
    return true;
  }

  @Override
  public Tensor clip(Tensor x, Limits limits) {
    Tensor r = limits.relu() ? x.relu() : x;
    if (limits.lower() != null) {
      Tensor bottom = ClipArguments.fit(x, limits.lower());
      r = torch.where(r.lt(bottom), bottom, r);
    }
    Tensor top = ClipArguments.fit(x, limits.upper());
    Tensor value = limits.value() == null ? top : ClipArguments.fit(x, limits.value());
    return torch.where(ClipOp.maskFor(x, r.gt(top)), value, r);
  }

  @Override
  public Tensor[] clipBackward(Tensor g, Tensor x, Limits limits, boolean... wanted) {
    Clipped clipped = Clipped.of(x, limits);
    Tensor[] gradients = new Tensor[4];
    if (wanted[0]) {
      Tensor passed = torch.where(clipped.any(), new Scalar(0), g);
      gradients[0] =
          limits.relu() ? torch.where(x.le(new Scalar(0)), new Scalar(0), passed) : passed;
    }
    if (wanted[1]) {
      gradients[1] = ClipStatistics.sumLike(where(clipped.above, g), limits.upper());
    }
    if (wanted[2]) {
      gradients[2] = ClipStatistics.sumLike(where(clipped.below, g), limits.lower());
    }
    if (wanted[3]) {
      gradients[3] = ClipStatistics.sumLike(where(clipped.above, g), limits.value());
    }
    return gradients;
  }

  @Override
  public Sums[] statistics(Tensor g, Tensor x, Limits limits) {
    Clipped clipped = Clipped.of(x, limits);
    return new Sums[] {sums(g, x, clipped.above), sums(g, x, clipped.below)};
  }

  /** The sums for a threshold that replaced the elements that {@code clipped} says. */
  static Sums sums(Tensor g, Tensor x, Tensor clipped) {
    return (what, threshold) ->
        switch (what) {
          case CLIPPED_GRADIENTS -> ClipStatistics.sum(where(clipped, g), threshold);
          case CLIPPED -> count(clipped, g, threshold);
          case POSITIVE_GRADIENTS -> ClipStatistics.sum(where(positive(x, clipped), g), threshold);
          case POSITIVE -> count(positive(x, clipped), g, threshold);
        };
  }

  /** In float16 a large number would be infinite. */
  private static Tensor count(Tensor mask, Tensor g, Tensor threshold) {
    boolean isDouble = g.scalar_type().intern() == ScalarType.Double;
    return ClipStatistics.sum(mask.to(isDouble ? ScalarType.Double : ScalarType.Float), threshold);
  }

  @Override
  public Pooled maxPoolClip(Tensor x, Tensor t, boolean relu) {
    T_TensorTensor_T pooled = torch.max_pool2d_with_indices(x, TWO, TWO, NONE, ONE, false);
    Tensor largest = pooled.get0();
    Limits limits = new Limits(relu, t, null, null);
    Tensor above = Clipped.of(largest, limits).above;
    Tensor state = torch.zeros_like(pooled.get1());
    if (relu) {
      state.masked_fill_(largest.le(new Scalar(0)), new Scalar(RECTIFIED));
    }
    state.masked_fill_(above, new Scalar(CLIPPED));
    Tensor codes = pooled.get1().mul(new Scalar(STATES)).add(state);
    return new Pooled(clip(largest, limits), codes);
  }

  @Override
  public Tensor[] maxPoolClipBackward(Tensor g, Tensor codes, Tensor t, long... shape) {
    if (!Arrays.equals(codes.shape(), g.shape())) {
      throw ClipArguments.wrongCodes();
    }
    boolean channelsLast = codes.is_contiguous(MemoryFormat.ChannelsLast); // as the output was
    Tensor state = codes.remainder(new Scalar(STATES));
    Tensor byLargest = where(state.eq(new Scalar(PASSED)), g);
    Tensor like =
        torch.empty(
            shape,
            g.options(),
            new MemoryFormatOptional(
                channelsLast ? MemoryFormat.ChannelsLast : MemoryFormat.Contiguous));
    Tensor byX =
        torch.max_pool2d_with_indices_backward(
            byLargest, like, TWO, TWO, NONE, ONE, false, codes.floor_divide(new Scalar(STATES)));
    Tensor clipped = where(state.eq(new Scalar(CLIPPED)), g);
    return new Tensor[] {byX, ClipStatistics.sumLike(clipped, t)};
  }

  @Override
  public Tensor fakeQuantize(Tensor x, Grid grid) {
    Tensor position = QuantizeOp.position(x, grid.scale(), grid.offset());
    Tensor codes = QuantizeOp.codes(position, grid.low(), grid.high());
    return QuantizeOp.dequantize(codes, grid.scale(), grid.offset()).to(x.scalar_type());
  }

  @Override
  public Tensor[] fakeQuantizeBackward(
      Tensor g, Tensor x, Grid grid, ScaleGradient rule, boolean... wanted) {
    Tensor v = QuantizeOp.position(x, grid.scale(), grid.offset());
    Tensor place = rule == ScaleGradient.ROUNDED ? v.round() : v;
    Tensor outside = place.lt(new Scalar(grid.low())).logical_or(place.gt(new Scalar(grid.high())));
    Tensor[] gradients = new Tensor[3];
    if (wanted[0]) {
      gradients[0] = torch.where(outside, new Scalar(0), g);
    }
    if (wanted[1]) {
      gradients[1] = sum(byScale(g, v, outside, grid, rule), grid.scale(), grid, rule);
    }
    if (wanted[2]) {
      gradients[2] = sum(where(outside, g), grid.offset(), grid, rule);
    }
    return gradients;
  }

  /** What each element adds to the scale's gradient. */
  private static Tensor byScale(Tensor g, Tensor v, Tensor outside, Grid grid, ScaleGradient rule) {
    Tensor codes = QuantizeOp.codes(v, grid.low(), grid.high());
    return rule == ScaleGradient.CLIPPED
        ? where(outside, codes.mul(g))
        : torch.where(outside, codes, codes.sub(v)).mul(g);
  }

  private static Tensor sum(Tensor values, Tensor parameter, Grid grid, ScaleGradient rule) {
    Tensor sum = ClipStatistics.sumLike(values, parameter);
    if (rule != ScaleGradient.ROUNDED_AND_SCALED) {
      return sum;
    }
    double shared = Math.max(1, values.numel() / Math.max(1, parameter.numel()));
    return sum.div(new Scalar(Math.sqrt(shared * grid.high())));
  }

  private static Tensor positive(Tensor x, Tensor clipped) {
    return x.gt(new Scalar(0)).logical_and(clipped.logical_not());
  }

  private static Tensor where(Tensor mask, Tensor values) {
    return torch.where(mask, values, new Scalar(0));
  }

  /** Which elements the upper threshold replaces, and which the lower one, if there is one. */
  private record Clipped(Tensor above, Tensor below) {

    static Clipped of(Tensor x, Limits limits) {
      Tensor r = limits.relu() ? x.relu() : x;
      Tensor top = ClipArguments.fit(x, limits.upper());
      if (limits.lower() == null) {
        return new Clipped(r.gt(top), null);
      }
      Tensor bottom = ClipArguments.fit(x, limits.lower());
      Tensor under = r.lt(bottom);
      Tensor above = torch.where(under, bottom, r).gt(top); // the upper wins where they are crossed
      return new Clipped(above, under.logical_and(above.logical_not()));
    }

    Tensor any() {
      return below == null ? above : above.logical_or(below);
    }
  }
}
