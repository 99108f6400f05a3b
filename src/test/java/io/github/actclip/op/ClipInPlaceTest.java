package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What autograd makes of the question's first way: {@code x[x > t] = t}. */
class ClipInPlaceTest {

  static {
    LibTorch.load();
  }

  private static final double[] CLIPPED = {-1, 0.25, 0.5, 0.5, 0.5};

  private TensorScope scope;
  private Tensor x;
  private Tensor t;
  private Tensor g;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    x = Gradients.leaf(Tensor.create(-1.0, 0.25, 0.5, 2, 3));
    t = Gradients.leaf(Tensor.create(0.5));
    g = Tensor.create(1.0, 2, 4, 8, 16);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void itOverwritesAndReturnsItsInput() {
    Tensor activations = x.detach().clone();
    Tensor y = ClipOp.clipInPlace(activations, t.detach());
    assertTrue(y.is_same(activations));
    assertArrayEquals(CLIPPED, Fixture.values(activations));
  }

  @Test
  void whatWasMadeInInferenceModeIsRefusedOutsideOfItAndTakenWithin() {
    InferenceMode guard = new InferenceMode();
    Tensor made;
    try (guard) {
      made = x.detach().clone();
      assertArrayEquals(CLIPPED, Fixture.values(ClipOp.clipInPlace(made.clone(), t.detach())));
    }
    ActclipException e =
        assertThrows(ActclipException.class, () -> ClipOp.clipInPlace(made, t.detach()));
    assertEquals(
        "the activations were made in inference mode, and cannot be changed in place outside of it:"
            + " clip a clone of them",
        e.getMessage());
  }

  @Test
  void aLeafIsRefusedAtOnce() {
    assertEquals(
        "a leaf Variable that requires grad is being used in an in-place operation.",
        firstLine(() -> ClipOp.clipInPlace(x, t)));
    assertArrayEquals(new double[] {-1, 0.25, 0.5, 2, 3}, Fixture.values(x));
  }

  /** ReLU's backward looks at its output, which is no longer what it was. */
  @Test
  void theOutputOfAReluFailsInBackward() {
    Tensor y = ClipOp.clipInPlace(x.relu(), t);
    assertArrayEquals(new double[] {0, 0.25, 0.5, 0.5, 0.5}, Fixture.values(y));
    assertEquals(
        "one of the variables needed for gradient computation has been modified by an inplace"
            + " operation: [CPUDoubleType [5]], which is output 0 of ReluBackward0, is at version"
            + " 1; expected version 0 instead. Hint: enable anomaly detection to find the operation"
            + " that failed to compute its gradient, with"
            + " torch.autograd.set_detect_anomaly(True).",
        firstLine(() -> Gradients.backward(y, g)));
    assertFalse(x.grad().defined());
  }

  /** A product by a constant looks at nothing, and all gradients are the clip's. */
  @Test
  void theOutputOfAProductGivesTheExactGradients() {
    Gradients.backward(ClipOp.clipInPlace(x.mul(new Scalar(2)), t), g);
    double[] byX = Gradients.take(x);
    double[] byT = Gradients.take(t);
    Gradients.backward(ClipOp.clip(x.mul(new Scalar(2)), t), g);
    assertArrayEquals(Gradients.take(x), byX);
    assertArrayEquals(Gradients.take(t), byT);
    assertArrayEquals(new double[] {28}, byT);
  }

  /** So does the pooling after a ReLU, which looks at where the largest were. */
  @Test
  void theOutputOfAPoolingGivesTheExactGradients() {
    Tensor rectified = x.relu().view(1, 1, 5);
    Gradients.backward(ClipOp.clipInPlace(torch.max_pool1d(rectified, 1), t), g.view(1, 1, 5));
    assertArrayEquals(new double[] {0, 2, 4, 0, 0}, Gradients.take(x));
    assertArrayEquals(new double[] {24}, Gradients.take(t));
  }

  @Test
  void withoutGradientsEvenALeafIsOverwritten() {
    scope.noGrad();
    Tensor y = ClipOp.clipInPlace(x, t);
    assertArrayEquals(CLIPPED, Fixture.values(x));
    assertTrue(y.requires_grad()); // as the leaf it still is, and with no trace of the threshold
    assertTrue(y.is_leaf());
  }

  @Test
  void manyThresholdsAreOneSentence() {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> ClipOp.clipInPlace(torch.ones(2, 3, 4), torch.ones(3, 1)));
    assertEquals("the threshold has 3 elements: in place there can be only one", e.getMessage());
    assertTrue(e.isBadInput());
  }

  private static String firstLine(Runnable body) {
    return ActclipException.firstLine(assertThrows(RuntimeException.class, body::run));
  }
}
