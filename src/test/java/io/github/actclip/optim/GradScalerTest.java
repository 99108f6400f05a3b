package io.github.actclip.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.Random;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the operation of LibTorch that Python's GradScaler calls. */
class GradScalerTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.2, 0.001, 0.0002})
  void theScaleIsPyTorchs(double shareOfInfinite) {
    Random random = new Random(17);
    GradScaler scaler = new GradScaler();
    Tensor scale = torch.full(new long[] {1}, new Scalar(65_536.0));
    Tensor tracker = torch.zeros(new long[] {1}, new TensorOptions(ScalarType.Int));
    for (int step = 0; step < 10_000; step++) {
      boolean infinite = random.nextDouble() < shareOfInfinite;
      TensorScope.run(() -> update(scale, tracker, infinite));
      scaler.update(!infinite);
      assertEquals(scale.item_float(), scaler.scale(), 0, "step " + step);
      assertEquals(tracker.item_int(), scaler.growthTracker(), "step " + step);
      if (scaler.scale() < 1e-30) {
        break; // float32 ends soon
      }
    }
  }

  private static void update(Tensor scale, Tensor tracker, boolean infinite) {
    IValueVector stack = new IValueVector();
    stack.push_back(new IValue(scale));
    stack.push_back(new IValue(tracker));
    stack.push_back(new IValue(torch.full(new long[] {1}, new Scalar(infinite ? 1.0 : 0.0))));
    stack.push_back(new IValue(2.0));
    stack.push_back(new IValue(0.5));
    stack.push_back(new IValue(2000L));
    Dispatcher.singleton().findSchemaOrThrow("aten::_amp_update_scale_", "").callBoxed(stack);
  }

  @Test
  void theScaleDoesNotGrowBeyondFloat32() {
    GradScaler scaler = new GradScaler();
    double top = Math.scalb(1.0, 127);
    scaler.restore(top, 1999);
    scaler.update(true);
    assertEquals(top, scaler.scale());
    assertEquals(0, scaler.growthTracker());
  }

  @Test
  void gradientsComeBackToTheLastBit() {
    Tensor weight = torch.randn(5, 7).set_requires_grad(true);
    Tensor loss = weight.mul(weight).sum();
    loss.backward();
    double[] expected = Fixture.values(weight.grad());
    weight.grad().zero_();

    GradScaler scaler = new GradScaler();
    Tensor unused = torch.ones(2).set_requires_grad(true);
    scaler.scale(weight.mul(weight).sum()).backward();
    assertEquals(65_536 * expected[0], Fixture.values(weight.grad())[0]);
    assertTrue(scaler.unscale(new TensorVector(weight, unused)));
    assertArrayEquals(expected, Fixture.values(weight.grad()));
    assertEquals(1, scaler.growthTracker());
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void whatIsNotFiniteIsFoundInAnyGradient(double value) {
    Tensor first = torch.ones(3).set_requires_grad(true);
    Tensor second = torch.ones(4).set_requires_grad(true);
    first.sum().add(second.sum()).backward();
    second.grad().select(0, 3).fill_(new Scalar(value));
    GradScaler scaler = new GradScaler();
    assertFalse(scaler.unscale(new TensorVector(first, second)));
    assertEquals(32_768, scaler.scale());
    assertEquals(0, scaler.growthTracker());
  }

  @Test
  void goesOnFromWhereAnotherWas() {
    GradScaler scaler = new GradScaler();
    scaler.restore(1024, 1998);
    scaler.update(true);
    assertEquals(1024, scaler.scale());
    assertEquals(1999, scaler.growthTracker());
    scaler.update(true);
    assertEquals(2048, scaler.scale());
    assertEquals(0, scaler.growthTracker());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "0 | 0 | the scale of gradients (0.0) must be above 0 and fit into a float",
        "NaN | 0 | the scale of gradients (NaN) must be above 0 and fit into a float",
        "1e39 | 0 | the scale of gradients (1.0E39) must be above 0 and fit into a float",
        "1 | -1 | the growth tracker (-1) must be 0 to 1999",
        "1 | 2000 | the growth tracker (2000) must be 0 to 1999"
      })
  void aStateThatCannotBeIsOneSentence(double scale, int tracker, String sentence) {
    ActclipException e =
        assertThrows(ActclipException.class, () -> new GradScaler().restore(scale, tracker));
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
