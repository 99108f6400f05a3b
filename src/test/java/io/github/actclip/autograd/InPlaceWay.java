package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.ScaleGradient;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** ReLU and a limit, of x and of t, a threshold or a scale. */
enum InPlaceWay {
  CLIP {
    @Override
    Tensor inPlace(Tensor x, Tensor t) {
      return ClipFunctions.reluInPlace(x, t);
    }

    @Override
    Tensor outOfPlace(Tensor x, Tensor t) {
      return ClipFunctions.relu(x, t, ThresholdGradient.SUM);
    }
  },
  QUANTIZER {
    @Override
    Tensor inPlace(Tensor x, Tensor t) {
      return FUNCTION.reluInPlace(x, t, torch.zeros_like(t));
    }

    @Override
    Tensor outOfPlace(Tensor x, Tensor t) {
      return FUNCTION.apply(x.relu(), t, torch.zeros_like(t));
    }
  };

  static final int HIGH = 15;

  private static final FakeQuantizeFunction FUNCTION =
      new FakeQuantizeFunction(0, HIGH, ScaleGradient.CLIPPED);

  /** It may change x. */
  abstract Tensor inPlace(Tensor x, Tensor t);

  /** The same, of which nothing is in place. */
  abstract Tensor outOfPlace(Tensor x, Tensor t);

  /** Nobody's but the graph's, as what a layer gives. */
  static Tensor intermediate(Tensor leaf) {
    return leaf.mul(new Scalar(1));
  }

  /** Whether y took the place of x; never without the kernels. */
  static void assertTaken(boolean expected, Tensor x, Tensor y) {
    assertEquals(expected && isNative(), y.is_same(x));
  }

  /** For tests of what only an output in the place of its input does. */
  static void assumeTaken() {
    assumeTrue(isNative(), "needs the kernels");
  }

  private static boolean isNative() {
    return ClipOp.backend().startsWith("native (");
  }
}
