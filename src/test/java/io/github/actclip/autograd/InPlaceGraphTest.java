package io.github.actclip.autograd;

import static io.github.actclip.autograd.InPlaceWay.assertTaken;
import static io.github.actclip.autograd.InPlaceWay.assumeTaken;
import static io.github.actclip.autograd.InPlaceWay.intermediate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Gradients;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorBase;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.VoidTensorHook;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** ReLU and a limit that take the place of their input: what the graph makes of it. */
class InPlaceGraphTest extends InPlaceInputs {

  /** Two losses have the same value and the same gradients, by the leaf and by t. */
  private void assertSame(Tensor expected, Tensor actual) {
    assertEquals(expected.item_double(), actual.item_double());
    expected.backward();
    double[] byX = Gradients.take(leaf);
    double[] byT = Gradients.take(t);
    Autograd.backward(actual);
    assertArrayEquals(byX, Gradients.take(leaf));
    assertArrayEquals(byT, Gradients.take(t));
  }

  private Tensor loss(Tensor y) {
    return y.mul(g).sum();
  }

  /** What reads x after the call reads the output, whenever it was made. */
  private static Stream<Arguments> uses() {
    Function<Tensor, UnaryOperator<Tensor>> itself = x -> y -> x.sin();
    Function<Tensor, UnaryOperator<Tensor>> handle =
        x -> {
          Tensor other = new Tensor(x);
          return y -> other.sin();
        };
    Function<Tensor, UnaryOperator<Tensor>> view =
        x -> {
          Tensor made = x.view(2, ENOUGH / 2);
          return y -> made.view(ENOUGH).sin();
        };
    Function<Tensor, UnaryOperator<Tensor>> part =
        x -> {
          Tensor half = x.narrow(0, 0, ENOUGH / 2);
          return y -> torch.cat(new TensorVector(half, y.narrow(0, ENOUGH / 2, ENOUGH / 2))).sin();
        };
    return Stream.of(InPlaceWay.values())
        .flatMap(
            way ->
                Stream.of(
                    Arguments.of(way, "itself", itself),
                    Arguments.of(way, "another handle", handle),
                    Arguments.of(way, "a view", view),
                    Arguments.of(way, "a part", part)));
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("uses")
  void whatReadsItLaterReadsTheOutput(
      InPlaceWay way, String name, Function<Tensor, UnaryOperator<Tensor>> use) {
    assumeTaken();
    Tensor out = way.outOfPlace(intermediate(leaf), t);
    Tensor expected = loss(out.add(out.sin()));
    Tensor x = intermediate(leaf);
    UnaryOperator<Tensor> later = use.apply(x);
    Tensor y = way.inPlace(x, t);
    assertTaken(true, x, y);
    assertSame(expected, loss(y.add(later.apply(y))));
  }

  /** As after relu_(). */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void someViewsAreOfNoUseAfterwards(InPlaceWay way) {
    assumeTaken();
    Tensor x = intermediate(leaf);
    TensorVector halves = x.chunk(2);
    way.inPlace(x, t);
    RuntimeException e = assertThrows(RuntimeException.class, () -> torch.cat(halves));
    assertTrue(e.getMessage().contains("has been modified inplace"), e.getMessage());
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void whatReadItBeforeKeepsItsGradient(InPlaceWay way) {
    Tensor x = intermediate(leaf);
    Tensor other = x.add(new Scalar(1)); // saves nothing
    Tensor y = way.inPlace(x, t);
    assertTaken(true, x, y);
    Tensor expected = way.outOfPlace(intermediate(leaf), t).add(leaf.add(new Scalar(1)));
    assertSame(loss(expected), loss(y.add(other)));
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void twiceIsTheFunctionOfItself(InPlaceWay way) {
    Tensor x = intermediate(leaf);
    Tensor smaller = t.mul(new Scalar(0.5));
    Tensor y = way.inPlace(way.inPlace(x, t), smaller);
    assertTaken(true, x, y);
    Tensor once = way.outOfPlace(intermediate(leaf), t);
    assertSame(loss(way.outOfPlace(once, t.mul(new Scalar(0.5)))), loss(y));
  }

  /** Backward reads what became of each element, not the output. */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void theOutputMayBeChanged(InPlaceWay way) {
    Tensor y = way.inPlace(intermediate(leaf), t);
    y.mul_(new Scalar(3));
    Tensor expected = way.outOfPlace(intermediate(leaf), t);
    assertSame(loss(expected.mul(new Scalar(3))), loss(y));
  }

  /** As they do after LibTorch's own relu_(). */
  private static Stream<Arguments> savers() {
    Function<Tensor, Tensor[]> exp = leaf -> two(leaf.exp());
    Function<Tensor, Tensor[]> sigmoid = leaf -> two(leaf.sigmoid());
    Function<Tensor, Tensor[]> square = leaf -> read(leaf, Tensor::square);
    Function<Tensor, Tensor[]> clip =
        leaf -> read(leaf, x -> ClipFunctions.relu(x, Tensor.create(0.5f), ThresholdGradient.SUM));
    return Stream.of(InPlaceWay.values())
        .flatMap(way -> Stream.of(exp, sigmoid, square, clip).map(s -> Arguments.of(way, s)));
  }

  private static Tensor[] two(Tensor x) {
    return new Tensor[] {x, x};
  }

  private static Tensor[] read(Tensor leaf, UnaryOperator<Tensor> function) {
    Tensor x = intermediate(leaf);
    return new Tensor[] {x, function.apply(x)};
  }

  @ParameterizedTest
  @MethodSource("savers")
  void whoSavedItRefusesItsBackward(InPlaceWay way, Function<Tensor, Tensor[]> saver) {
    assumeTaken();
    Tensor[] saved = saver.apply(leaf);
    Tensor loss = way.inPlace(saved[0], t).add(saved[1]).sum();
    RuntimeException e = assertThrows(RuntimeException.class, () -> Autograd.backward(loss));
    assertTrue(e.getMessage().matches("(?s).*(inplace|in place).*"), e.getMessage());
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void whoSavedItFindsOutWithoutAGraphToo(InPlaceWay way) {
    assumeTaken();
    Tensor x = intermediate(leaf);
    Tensor square = x.square();
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      way.inPlace(x, t);
    }
    assertThrows(RuntimeException.class, () -> square.sum().backward());
  }

  /** What is registered for the output must not see the gradient of what was there before. */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void hooksSeeTheGradientByTheirTensor(InPlaceWay way) {
    double[] before = new double[1];
    double[] after = new double[1];
    Tensor x = intermediate(leaf);
    x.register_hook(sumTo(before));
    Tensor y = way.inPlace(x, t);
    y.register_hook(sumTo(after));
    Autograd.backward(loss(y));
    double byLeaf = leaf.grad().to(ScalarType.Double).sum().item_double();
    assertEquals(byLeaf, before[0], 1e-2);
    assertEquals(g.to(ScalarType.Double).sum().item_double(), after[0], 1e-2);
  }

  private VoidTensorHook sumTo(double[] to) {
    return scope.keep(
        new VoidTensorHook() {
          @Override
          public void call(TensorBase gradient) {
            to[0] += new Tensor(gradient).to(ScalarType.Double).sum().item_double();
          }
        });
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void theOutputCanRetainItsGradient(InPlaceWay way) {
    Tensor y = way.inPlace(intermediate(leaf), t);
    y.retain_grad();
    Autograd.backward(loss(y));
    Bits.assertSame(g, y.grad(), "by the output");
  }
}
