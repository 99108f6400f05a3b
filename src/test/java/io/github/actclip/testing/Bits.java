package io.github.actclip.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Compares tensors bit by bit: a zero's sign counts, and which NaN it is does not. */
public final class Bits {

  private Bits() {}

  public static void assertSame(Tensor expected, Tensor actual, String what) {
    ScalarType type = expected.scalar_type().intern();
    assertEquals(type, actual.scalar_type().intern(), what);
    assertArrayEquals(expected.shape(), actual.shape(), what);
    if (!bits(expected, type).equal(bits(actual, type))) {
      assertArrayEquals(Fixture.values(expected), Fixture.values(actual), what);
      throw new AssertionError(what + ": differ in the sign of a zero, or in bits not shown");
    }
    assertTrue(expected.isnan().equal(actual.isnan()), what);
  }

  private static Tensor bits(Tensor tensor, ScalarType type) {
    Tensor withoutNan = tensor.detach().masked_fill(tensor.isnan(), new Scalar(0)).contiguous();
    return withoutNan
        .flatten()
        .view(
            switch (type) {
              case Double -> ScalarType.Long;
              case Float -> ScalarType.Int;
              default -> ScalarType.Short;
            });
  }
}
