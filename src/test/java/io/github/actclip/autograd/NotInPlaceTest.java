package io.github.actclip.autograd;

import static io.github.actclip.autograd.InPlaceWay.assertTaken;
import static io.github.actclip.autograd.InPlaceWay.intermediate;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.ForkedJvm;
import io.github.actclip.testing.Gradients;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Which inputs a limit behind ReLU does not overwrite, and that the gradients are right then, too.
 */
class NotInPlaceTest {

  static {
    LibTorch.load();
  }

  private static final long ENOUGH = 24_000;

  private TensorScope scope;
  private Tensor leaf;
  private Tensor t;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(97);
    leaf = Gradients.leaf(torch.randn(ENOUGH));
    t = Gradients.leaf(Tensor.create(0.05f));
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static Stream<Arguments> others() {
    UnaryOperator<Tensor> view = leaf -> intermediate(leaf).view(4, ENOUGH / 4);
    UnaryOperator<Tensor> part = leaf -> intermediate(leaf).narrow(0, 1, ENOUGH - 2);
    UnaryOperator<Tensor> few = leaf -> leaf.narrow(0, 0, 5000).mul(new Scalar(1));
    UnaryOperator<Tensor> none = leaf -> leaf.narrow(0, 0, 0).mul(new Scalar(1));
    UnaryOperator<Tensor> hooked =
        leaf -> {
          Tensor x = intermediate(leaf);
          x.retain_grad();
          return x;
        };
    return Stream.of(InPlaceWay.values())
        .flatMap(
            way ->
                Stream.of(
                    Arguments.of(way, "a view", view),
                    Arguments.of(way, "a part", part),
                    Arguments.of(way, "few", few),
                    Arguments.of(way, "none", none),
                    Arguments.of(way, "one that retains its gradient", hooked)));
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("others")
  void whatHasNoPlaceOfItsOwnIsNotTaken(InPlaceWay way, String name, UnaryOperator<Tensor> make) {
    Tensor expected = way.outOfPlace(make.apply(leaf), t);
    Tensor g = torch.randn(expected.shape());
    Gradients.send(expected, g);
    double[] byX = Gradients.take(leaf);
    double[] byT = Gradients.take(t);
    Tensor x = make.apply(leaf);
    Tensor y = way.inPlace(x, t);
    assertTaken(false, x, y);
    Bits.assertSame(expected, y, "output");
    Gradients.send(y, g);
    assertArrayEquals(byX, Gradients.take(leaf));
    assertArrayEquals(byT, Gradients.take(t));
    if (x.retains_grad() && way == InPlaceWay.CLIP) { // Of the other, x is what relu_() made.
      assertArrayEquals(byX, Fixture.values(x.grad()));
    }
  }

  /** Data, and what frozen layers give: there is nothing in the graph to take the place of. */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void whatRequiresNoGradientIsNotTaken(InPlaceWay way) {
    Gradients.send(way.outOfPlace(leaf, t), torch.ones(ENOUGH));
    double[] byT = Gradients.take(t);
    Tensor x = leaf.detach().clone();
    Tensor y = way.inPlace(x, t);
    assertTaken(false, x, y);
    assertTrue(y.requires_grad());
    assertFalse(x.requires_grad());
    y.sum().backward();
    assertArrayEquals(byT, Gradients.take(t));
  }

  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void aThresholdThatIsFrozenIs(InPlaceWay way) {
    Gradients.send(way.outOfPlace(intermediate(leaf), t.detach()), torch.ones(ENOUGH));
    double[] byX = Gradients.take(leaf);
    Tensor x = intermediate(leaf);
    Tensor y = way.inPlace(x, t.detach());
    assertTaken(true, x, y);
    y.sum().backward();
    assertArrayEquals(byX, Gradients.take(leaf));
    assertFalse(t.grad().defined());
  }

  @ParameterizedTest
  @EnumSource
  void aLeafIsNotTaken(InPlaceWay way) {
    Tensor values = leaf.detach().clone();
    Gradients.send(way.outOfPlace(leaf, t), torch.ones(ENOUGH));
    double[] byX = Gradients.take(leaf);
    way.inPlace(leaf, t).sum().backward();
    assertArrayEquals(byX, Gradients.take(leaf));
    assertTrue(leaf.is_leaf());
    Bits.assertSame(values, leaf, "the leaf");
  }

  /** Of which several elements have one place. */
  @ParameterizedTest
  @EnumSource
  void whatIsExpandedIsNotTaken(InPlaceWay way) {
    UnaryOperator<Tensor> make = some -> some.view(ENOUGH, 1).expand(ENOUGH, 3);
    Gradients.send(way.outOfPlace(make.apply(leaf), t), torch.ones(ENOUGH, 3));
    double[] byX = Gradients.take(leaf);
    way.inPlace(make.apply(intermediate(leaf)), t).sum().backward();
    assertArrayEquals(byX, Gradients.take(leaf));
    scope.noGrad();
    Tensor expanded = make.apply(leaf.detach());
    Bits.assertSame(
        InPlaceWay.CLIP.outOfPlace(expanded, t), InPlaceWay.CLIP.inPlace(expanded, t), "output");
  }

  /** It is taken only where it may be changed. */
  @ParameterizedTest
  @EnumSource(InPlaceWay.class)
  void whatWasMadeInInferenceModeIsTakenThereOnly(InPlaceWay way) {
    InferenceMode guard = new InferenceMode();
    Tensor made;
    try (guard) {
      made = leaf.detach().clone();
      Tensor expected = way.outOfPlace(made, t);
      Tensor x = made.clone();
      Tensor y = way.inPlace(x, t);
      assertTaken(true, x, y);
      Bits.assertSame(expected, y, "output");
    }
    if (way == InPlaceWay.QUANTIZER) {
      assertThrows(RuntimeException.class, () -> way.inPlace(made, t)); // as relu_()
      return;
    }
    Gradients.send(way.outOfPlace(leaf, t), torch.ones(ENOUGH));
    double[] byT = Gradients.take(t);
    way.inPlace(made, t).sum().backward();
    assertArrayEquals(byT, Gradients.take(t));
    scope.noGrad();
    Bits.assertSame(way.outOfPlace(made, t), way.inPlace(made, t), "without a gradient");
    assertFalse(made.lt(new Scalar(0)).logical_not().all().item_bool());
  }

  @Test
  void withoutTheKernelsNothingIsTaken() throws Exception {
    Map<String, String> composed = Map.of(KernelLibrary.BACKEND_PROPERTY, "composed");
    String output =
        ForkedJvm.start(InPlaceProbe.class, List.of(), composed, Map.of()).awaitOutput();
    assertTrue(output.contains("\nCLIP left, right\n"), output);
    assertTrue(output.contains("\nQUANTIZER left, right\n"), output);
  }

  /** The way out of place takes it, or refuses it in a sentence. */
  @Test
  void whatTheKernelsDoNotTakeIsNotTaken() {
    Tensor complex = torch.view_as_complex(torch.randn(ENOUGH, 2));
    Tensor negated = torch.imag(complex.conj());
    assertTrue(negated.is_neg());
    scope.noGrad();
    Bits.assertSame(
        InPlaceWay.CLIP.outOfPlace(negated, t), ClipFunctions.reluInPlace(negated, t), "negated");
    Tensor threshold = t.detach();
    for (Tensor bad :
        new Tensor[] {
          null, new Tensor(), torch.ones(3).to(ScalarType.Int), torch.ones(3).to_sparse()
        }) {
      ActclipException e =
          assertThrows(
              ActclipException.class, () -> ClipFunctions.reluInPlace(bad, threshold), bad + "");
      assertTrue(e.isBadInput());
    }
    for (Tensor bad :
        new Tensor[] {null, new Tensor(), torch.ones(3), torch.ones(1).to(ScalarType.Int)}) {
      assertThrows(ActclipException.class, () -> ClipFunctions.reluInPlace(torch.randn(2, 4), bad));
    }
    assertEquals(2, ClipFunctions.reluInPlace(torch.randn(2, 4), torch.ones(2, 1)).dim());
  }
}
