package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.testing.Fixture;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Fake quantization in plain expressions of LibTorch, and its sums in float64. */
final class QuantizeCase {

  /** The slopes are rounded to float32, and so is each of their products with g. */
  private static final double TOLERANCE = 1e-5;

  private final Tensor g;
  private final Grid grid;
  private final ScaleGradient rule;
  private final Tensor output;
  private final Tensor outside;
  private final Tensor slope;

  QuantizeCase(Tensor x, Tensor g, Grid grid, ScaleGradient rule) {
    this.g = g;
    this.grid = grid;
    this.rule = rule;
    boolean isDouble = x.scalar_type().intern() == ScalarType.Double;
    Tensor wide = isDouble ? x : x.to(ScalarType.Float);
    Tensor s = grid.scale().to(wide.scalar_type());
    Tensor offset = grid.offset().to(wide.scalar_type());
    Tensor v = wide.sub(offset).div(s);
    Tensor q = torch.clamp(v.round(), scalar(grid.low()), scalar(grid.high()));
    output = q.mul(s).add(offset).to(x.scalar_type());
    Tensor place = rule == ScaleGradient.ROUNDED ? v.round() : v;
    outside = place.lt(new Scalar(grid.low())).logical_or(place.gt(new Scalar(grid.high())));
    Tensor inside = rule == ScaleGradient.CLIPPED ? torch.zeros_like(v) : q.sub(v);
    slope = torch.where(outside, q, inside);
  }

  private static ScalarOptional scalar(int value) {
    return new ScalarOptional(new Scalar(value));
  }

  Tensor output() {
    return output;
  }

  Tensor byX() {
    return torch.where(outside, new Scalar(0), g);
  }

  void assertScale(Tensor actual, String where) {
    assertSums(slope, actual, where);
  }

  void assertOffset(Tensor actual, String where) {
    assertSums(outside.to(ScalarType.Double), actual, where);
  }

  private void assertSums(Tensor factor, Tensor actual, String where) {
    Tensor products = factor.to(ScalarType.Double).mul(g.to(ScalarType.Double));
    long count = actual.numel();
    double factorOfRule =
        rule == ScaleGradient.ROUNDED_AND_SCALED
            ? 1 / Math.sqrt(Math.max(1, g.numel() / count) * (double) grid.high())
            : 1;
    double[] sums = Fixture.values(sum(products, actual).mul(new Scalar(factorOfRule)));
    double[] absolute = Fixture.values(sum(products.abs(), actual).mul(new Scalar(factorOfRule)));
    double[] values = Fixture.values(actual);
    for (int k = 0; k < values.length; k++) {
      double tolerance = Double.isNaN(sums[k]) ? 0 : TOLERANCE * absolute[k];
      assertEquals(sums[k], values[k], tolerance, where + " at " + k);
    }
  }

  private static Tensor sum(Tensor products, Tensor like) {
    return like.numel() == 1 ? products.sum() : products.sum_to_size(like.shape());
  }
}
