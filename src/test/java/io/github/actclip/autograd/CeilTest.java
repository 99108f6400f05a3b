package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

class CeilTest {

  @Test
  void roundsUpAndPassesTheGradientOn() {
    TensorScope.run(
        () -> {
          Tensor x = Gradients.leaf(Tensor.create(-1.5, -1, -0.5, 0, 0.25, 1, 1e300));
          Tensor y = new Ceil().apply(x);
          Tensor g = Tensor.create(1.0, -2, 3, -4, 5, -6, 7);
          Gradients.backward(y, g);
          assertArrayEquals(new double[] {-1, -1, -0.0, 0, 1, 1, 1e300}, Fixture.values(y));
          assertArrayEquals(Fixture.values(g), Gradients.take(x));
        });
  }
}
