package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CustomFunctionTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(11);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** {@code where(x > t, t, x)} for a threshold of one element. */
  private static final class ClipLike extends CustomFunction {
    @Override
    protected Tensor forward(FunctionContext context, Tensor... inputs) {
      context.saveForBackward(inputs);
      return plainClip(inputs[0], inputs[1]);
    }

    @Override
    protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
      Tensor clipped = context.saved(0).gt(context.saved(1));
      Tensor none = torch.zeros_like(gradOutput);
      return new Tensor[] {
        torch.where(clipped, none, gradOutput), torch.where(clipped, gradOutput, none).sum().view(1)
      };
    }
  }

  /** The sum of all elements of all inputs, each multiplied by its input's number from 1. */
  private static final class WeightedSum extends CustomFunction {
    @Override
    protected Tensor forward(FunctionContext context, Tensor... inputs) {
      context.saveForBackward(inputs);
      Tensor sum = inputs[0].sum();
      for (int i = 1; i < inputs.length; i++) {
        sum = sum.add(inputs[i].sum(), new Scalar(i + 1));
      }
      return sum;
    }

    @Override
    protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
      Tensor[] gradients = new Tensor[context.inputs()];
      for (int i = 0; i < gradients.length; i++) {
        if (context.needsInputGrad(i)) {
          Tensor one = torch.ones_like(context.saved(i));
          gradients[i] = one.mul(gradOutput).mul(new Scalar(i + 1));
        }
      }
      return gradients;
    }
  }

  @Test
  void equalsTheComposedExpressionInsideALargerGraph() {
    Tensor x = torch.randn(4, 5).requires_grad_(true);
    Tensor t = torch.ones(1).mul(new Scalar(0.3)).detach().requires_grad_(true);
    Tensor weights = torch.randn(4, 5);

    plainClip(x.mul(new Scalar(2)), t).mul(weights).sum().backward();
    double[] expectedX = takeGrad(x);
    double[] expectedT = takeGrad(t);
    new ClipLike().apply(x.mul(new Scalar(2)), t).mul(weights).sum().backward();

    assertArrayEquals(expectedX, Fixture.values(x.grad()));
    assertArrayEquals(expectedT, Fixture.values(t.grad()), 1e-6);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7})
  void anyNumberOfInputsOfAnyShape(int count) {
    Tensor[] inputs = new Tensor[count];
    for (int i = 0; i < count; i++) {
      inputs[i] = torch.randn(i + 1, 3).requires_grad_(true);
    }
    new WeightedSum().apply(inputs).backward();
    for (int i = 0; i < count; i++) {
      double[] gradient = Fixture.values(inputs[i].grad());
      assertEquals(3 * (i + 1), gradient.length);
      for (double g : gradient) {
        assertEquals(i + 1, g);
      }
    }
  }

  @Test
  void inputsThatNeedNoGradientGetNone() {
    Tensor x = torch.randn(3).requires_grad_(true);
    Tensor constant = torch.randn(2);
    Tensor integers = torch.ones(2).to(ScalarType.Long);
    new WeightedSum().apply(x, constant, integers).backward();
    assertArrayEquals(new double[] {1, 1, 1}, Fixture.values(x.grad()));
    assertFalse(constant.grad().defined());
  }

  @Test
  void withoutAnythingToDifferentiateThereIsNoGraph() {
    int before = BackwardNode.alive();
    assertFalse(new WeightedSum().apply(torch.randn(3)).requires_grad());
    scope.noGrad();
    assertFalse(new WeightedSum().apply(torch.randn(3).requires_grad_(true)).requires_grad());
    assertEquals(before, BackwardNode.alive());
  }

  @Test
  void theSameInputTwiceGetsBothGradients() {
    Tensor x = torch.randn(3).requires_grad_(true);
    new WeightedSum().apply(x, x).backward();
    assertArrayEquals(new double[] {3, 3, 3}, Fixture.values(x.grad()));
  }

  @Test
  void anInputThatIsReturnedKeepsItsOwnPlace() {
    CustomFunction identity =
        new CustomFunction() {
          @Override
          protected Tensor forward(FunctionContext context, Tensor... inputs) {
            return inputs[0];
          }

          @Override
          protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
            return new Tensor[] {gradOutput.mul(new Scalar(10))};
          }
        };
    Tensor x = torch.randn(2).requires_grad_(true);
    Tensor y = identity.apply(x);
    assertTrue(x.is_leaf());
    y.sum().backward();
    assertArrayEquals(new double[] {10, 10}, Fixture.values(x.grad()));
  }

  @Test
  void nonContiguousAndEmptyInputs() {
    Tensor t = torch.zeros(1).requires_grad_(true);
    Tensor x = torch.randn(6, 4).requires_grad_(true);
    Tensor strided = x.t().narrow(1, 1, 3);
    new ClipLike().apply(strided, t).sum().backward();
    double[] actual = takeGrad(x);
    plainClip(strided, t.detach()).sum().backward();
    assertArrayEquals(takeGrad(x), actual);

    Tensor empty = torch.randn(0, 3).requires_grad_(true);
    new ClipLike().apply(empty, t).sum().backward();
    assertArrayEquals(new long[] {0, 3}, empty.grad().shape());
  }

  @Test
  void aGraphOutlivesItsScopeAndCollections() throws InterruptedException {
    Tensor x = torch.arange(new Scalar(6)).to(ScalarType.Float).detach().requires_grad_(true);
    Tensor t = torch.ones(1).mul(new Scalar(2.5)).detach().requires_grad_(true);
    Tensor loss;
    try (TensorScope inner = new TensorScope()) {
      loss = inner.keep(new ClipLike().apply(x, t).sum());
    }
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(10);
    }
    loss.backward();
    loss.close();
    assertArrayEquals(new double[] {3}, Fixture.values(t.grad()));
    assertArrayEquals(new double[] {1, 1, 1, 0, 0, 0}, Fixture.values(x.grad()));
  }

  @Test
  void backwardMayRunAgain() {
    Tensor x = torch.randn(3).requires_grad_(true);
    Tensor loss = new WeightedSum().apply(x, x);
    loss.backward(new Tensor(), new BoolOptional(true), false, new TensorArrayRefOptional());
    loss.backward();
    assertArrayEquals(new double[] {6, 6, 6}, Fixture.values(x.grad()));
  }

  @Test
  void nestedAndThroughGrad() {
    Tensor x = torch.randn(8).requires_grad_(true);
    Tensor t = torch.zeros(1).requires_grad_(true);
    Tensor y = new ClipLike().apply(new ClipLike().apply(x, t), t);
    TensorVector gradients = torch.grad(new TensorVector(y.sum()), new TensorVector(x, t));
    Tensor plain = plainClip(plainClip(x, t), t);
    TensorVector expected = torch.grad(new TensorVector(plain.sum()), new TensorVector(x, t));
    for (int i = 0; i < 2; i++) {
      assertArrayEquals(Fixture.values(expected.get(i)), Fixture.values(gradients.get(i)), 1e-6);
    }
  }

  @Test
  void aTensorOfInferenceModeIsSavedAsACopy() {
    Tensor[] inputs = {torch.randn(3).requires_grad_(true), null};
    InferenceMode guard = new InferenceMode();
    try (guard) {
      inputs[1] = torch.randn(3);
    }
    CustomFunction saving =
        new CustomFunction() {
          @Override
          protected Tensor forward(FunctionContext context, Tensor... in) {
            context.saveForBackward(in);
            return in[0].mul(in[1]);
          }

          @Override
          protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
            return new Tensor[] {context.saved(1).mul(gradOutput), null};
          }
        };
    double[] factors = Fixture.values(inputs[1]);
    Tensor y = saving.apply(inputs);
    InferenceMode again = new InferenceMode();
    try (again) {
      inputs[1].zero_(); // which nobody counts
    }
    y.sum().backward();
    assertArrayEquals(factors, Fixture.values(inputs[0].grad()));
  }

  @Test
  void aSecondDerivativeIsRefused() {
    Tensor x = torch.randn(3).requires_grad_(true);
    assertNoSecondDerivative(
        new WeightedSum().apply(x), x, "WeightedSum has no second derivative: do not call it with");
    assertNoSecondDerivative(
        ClipFunctions.clip(x, Tensor.create(1f), ThresholdGradient.MEAN).sum(),
        x,
        "create_graph, or use ClipOp's clips, which have one");
  }

  private static void assertNoSecondDerivative(Tensor loss, Tensor x, String sentence) {
    RuntimeException e =
        assertThrows(
            RuntimeException.class,
            () ->
                torch.grad(
                    new TensorVector(loss),
                    new TensorVector(x),
                    new TensorVector(),
                    new BoolOptional(true),
                    true,
                    false));
    assertTrue(e.getMessage().contains(sentence), e.getMessage());
  }

  @Test
  void anExceptionInBackwardArrivesWithItsMessageAndNothingIsLeft() {
    CustomFunction failing =
        new CustomFunction() {
          @Override
          protected Tensor forward(FunctionContext context, Tensor... inputs) {
            return inputs[0].mul(new Scalar(2));
          }

          @Override
          protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
            throw new IllegalStateException("boom in backward");
          }
        };
    int before = BackwardNode.alive();
    Tensor x = torch.randn(3).requires_grad_(true);
    try (TensorScope inner = new TensorScope()) {
      Tensor loss = failing.apply(x).sum();
      RuntimeException e = assertThrows(RuntimeException.class, loss::backward);
      assertTrue(e.getMessage().contains("boom in backward"), e.getMessage());
      inner.noGrad();
    }
    assertEquals(before, BackwardNode.alive());
  }

  /** Doubles its input; its backward is given. */
  private static CustomFunction twice(
      BiFunction<FunctionContext, Tensor, Tensor[]> backward, boolean saves) {
    return new CustomFunction() {
      @Override
      protected Tensor forward(FunctionContext context, Tensor... inputs) {
        Tensor output = inputs[0].mul(new Scalar(2));
        if (saves) {
          context.saveForBackward(inputs[0], output);
        }
        return output;
      }

      @Override
      protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
        return backward.apply(context, gradOutput);
      }
    };
  }

  private static CustomFunction twice(Function<Tensor, Tensor[]> backward) {
    return twice((context, gradOutput) -> backward.apply(gradOutput), false);
  }

  private static String refusal(Executable call) {
    return assertThrows(ActclipException.class, call).getMessage();
  }

  @Test
  void aWrongNumberOfGradientsIsOneSentence() {
    Tensor x = torch.randn(3).requires_grad_(true);
    CustomFunction two = twice(g -> new Tensor[] {g, g});
    assertEquals(
        two.getClass().getName()
            + ".backward returned 2 gradients: it must return one for each of its 1 inputs",
        refusal(() -> Autograd.backward(two.apply(x).sum())));
    CustomFunction none = twice(g -> null);
    assertEquals(
        none.getClass().getName()
            + ".backward returned no gradients: it must return one for each of its 1 inputs",
        refusal(() -> Autograd.backward(none.apply(x).sum())));
  }

  @Test
  void aGradientOfAnotherShapeIsOneSentence() {
    Tensor x = torch.randn(3).requires_grad_(true);
    CustomFunction wrong = twice(g -> new Tensor[] {torch.ones(2, 3)});
    assertEquals(
        wrong.getClass().getName()
            + ".backward returned a gradient of shape [2, 3] for input 0: it must be of the"
            + " input's shape, [3]",
        refusal(() -> Autograd.backward(wrong.apply(x).sum())));
  }

  @Test
  void aGradientOfAnotherDtypeIsCast() {
    for (ScalarType type : new ScalarType[] {ScalarType.Double, ScalarType.BFloat16}) {
      Tensor x = torch.ones(3).to(type).detach().requires_grad_(true);
      Autograd.backward(twice(g -> new Tensor[] {torch.ones(3)}).apply(x).sum());
      assertEquals(type, x.grad().scalar_type().intern());
      assertArrayEquals(new double[] {1, 1, 1}, Fixture.values(x.grad().to(ScalarType.Float)));
    }
  }

  @Test
  void complexGradientsArePassedOnWhole() {
    Tensor z = torch.view_as_complex(torch.ones(2, 2)).detach().requires_grad_(true);
    Tensor gradient =
        torch.view_as_complex(torch.arange(new Scalar(4)).to(ScalarType.Float).view(2, 2));
    Autograd.backward(twice(g -> new Tensor[] {gradient}).apply(z).abs().sum());
    assertArrayEquals(new double[] {0, 1, 2, 3}, Fixture.values(torch.view_as_real(z.grad())));
  }

  @Test
  void aLeafTakesItsGradientWithoutACopy() {
    Tensor x = torch.randn(3).requires_grad_(true);
    long[] made = new long[1];
    CustomFunction function =
        twice(
            g -> {
              Tensor gradient = g.mul(new Scalar(2));
              made[0] = gradient.data_ptr().address();
              return new Tensor[] {gradient};
            });
    Autograd.backward(function.apply(x).sum());
    assertEquals(made[0], x.grad().data_ptr().address());
  }

  @Test
  void whereNoGradientComesFromBackwardIsNotAsked() {
    Tensor x = torch.randn(3).requires_grad_(true);
    CustomFunction stops = twice(g -> new Tensor[] {null});
    CustomFunction unasked =
        twice(
            g -> {
              throw new IllegalStateException("asked");
            });
    Autograd.backward(stops.apply(unasked.apply(x)).sum());
    assertFalse(x.grad().defined());
  }

  @Test
  void whatIsNoTensorIsOneSentence() {
    CustomFunction function = twice(g -> new Tensor[] {g});
    String name = function.getClass().getName();
    assertEquals(
        "input 1 of " + name + " is null: it must be a tensor",
        refusal(() -> function.apply(torch.ones(1), null)));
    assertEquals(
        "input 0 of " + name + " is undefined or closed: it must be a tensor",
        refusal(() -> function.apply(new Tensor())));
    CustomFunction nothing =
        new CustomFunction() {
          @Override
          protected Tensor forward(FunctionContext context, Tensor... inputs) {
            context.saveForBackward(inputs[0], inputs.length == 2 ? null : inputs[0]);
            return null;
          }

          @Override
          protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
            return new Tensor[0];
          }
        };
    assertEquals(
        nothing.getClass().getName() + ".forward returned no tensor: it must return its output",
        refusal(() -> nothing.apply(torch.ones(1))));
    assertEquals(
        "there is no tensor to save at place 1",
        refusal(() -> nothing.apply(torch.ones(1), torch.ones(1))));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aSavedTensorThatWasChangedInPlaceIsRefused(int index) {
    CustomFunction function =
        twice((context, g) -> new Tensor[] {g.mul(context.saved(index))}, true);
    Tensor x = torch.randn(3).requires_grad_(true);
    Tensor input = x.mul(new Scalar(1));
    Tensor output = function.apply(input);
    (index == 0 ? input : output).detach().zero_();
    assertEquals(
        "saved tensor "
            + index
            + " was changed in place between forward and backward: save a copy of it",
        refusal(() -> Autograd.backward(output.sum())));
    assertFalse(x.grad().defined());
  }

  @Test
  void aSavedOutputDoesNotKeepItsNode() {
    CustomFunction function = twice((context, g) -> new Tensor[] {context.saved(1)}, true);
    int before = BackwardNode.alive();
    Tensor x = torch.ones(3).requires_grad_(true);
    TensorScope.run(() -> Autograd.backward(function.apply(x).sum()));
    TensorScope.run(() -> function.apply(x));
    assertEquals(before, BackwardNode.alive());
    assertArrayEquals(new double[] {2, 2, 2}, Fixture.values(x.grad()));
  }

  @Test
  void manyThreadsAtOnceEachWithItsOwnGraphs() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    ClipLike shared = new ClipLike();
    List<Callable<Integer>> tasks = new ArrayList<>();
    for (int k = 0; k < 4; k++) {
      tasks.add(
          () -> {
            int wrong = 0;
            for (int i = 0; i < 500; i++) {
              try (TensorScope step = new TensorScope()) {
                Tensor x = torch.randn(64).requires_grad_(true);
                Tensor t = step.keep(torch.zeros(1).requires_grad_(true));
                shared.apply(x, t).sum().backward();
                double clipped = x.gt(t).sum().item_double();
                wrong += t.grad().item_double() == clipped ? 0 : 1;
                t.close();
              }
            }
            return wrong;
          });
    }
    for (Future<Integer> result : threads.invokeAll(tasks)) {
      assertEquals(0, result.get());
    }
    threads.shutdown();
  }

  @Test
  void forgottenGraphsLeaveNothing() {
    Tensor t = torch.zeros(1).requires_grad_(true);
    int alive = BackwardNode.alive();
    forget(t, 5_000);
    long before = Pointer.physicalBytes();
    forget(t, 100_000);
    long grown = Pointer.physicalBytes() - before;
    assertEquals(alive, BackwardNode.alive());
    // Each graph saves 16 KB: 1.6 GB if they were kept. The rest is the Java heap's to grow.
    assertTrue(grown < 200L << 20, "grew by " + (grown >> 20) + " MiB");
  }

  private static void forget(Tensor t, int graphs) {
    Tensor x = torch.randn(4096);
    for (int i = 0; i < graphs; i++) {
      TensorScope.run(() -> new ClipLike().apply(x.add(t), t));
    }
  }

  private static Tensor plainClip(Tensor x, Tensor t) {
    return torch.where(x.gt(t), t, x);
  }

  private static double[] takeGrad(Tensor leaf) {
    double[] gradient = Fixture.values(leaf.grad());
    leaf.mutable_grad().reset();
    return gradient;
  }
}
