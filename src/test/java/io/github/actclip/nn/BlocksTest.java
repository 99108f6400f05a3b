package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.op.ClipOp;
import io.github.actclip.op.PoolOp;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Gradients;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.kReflect;
import org.bytedeco.pytorch.kSame;
import org.bytedeco.pytorch.kValid;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A block against its modules, called one by one. */
class BlocksTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(71);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** Every option that the kernels lack, and none. */
  static Stream<Supplier<Conv2dImpl>> everyConvolution() {
    return Stream.of(
        () -> conv(options -> {}),
        () -> conv(options -> options.stride().put(new LongPointer(2, 1))),
        () -> conv(options -> options.padding().put(new LongPointer(0, 2))),
        () -> conv(options -> options.padding().put(new kSame())),
        () -> conv(options -> options.padding().put(new kValid())),
        () -> conv(options -> options.padding_mode().put(new kReflect())),
        () -> conv(options -> options.dilation().put(new LongPointer(1, 2))),
        () -> conv(options -> options.groups().put(2)),
        () -> conv(options -> options.bias().put(false)),
        () ->
            new Conv2dImpl(options()) {
              @Override
              public Tensor forward(Tensor x) {
                return super.forward(x).neg();
              }
            });
  }

  private static Conv2dOptions options() {
    return new Conv2dOptions(16, 32, new LongPointer(3, 3));
  }

  private static Conv2dImpl conv(Consumer<Conv2dOptions> change) {
    Conv2dOptions options = options();
    change.accept(options);
    return new Conv2dImpl(options);
  }

  @ParameterizedTest
  @MethodSource("everyConvolution")
  void isTheModulesOneByOne(Supplier<Conv2dImpl> made) {
    Conv2dImpl conv = made.get();
    Clip clip = new Clip(new ClipOptions(ClipForm.TIED).initial(0.4).perChannel(32, 1));
    for (MemoryFormat format :
        new MemoryFormat[] {MemoryFormat.ChannelsLast, MemoryFormat.Contiguous}) {
      conv.weight().set_data(conv.weight().contiguous(format));
      for (Tensor x :
          new Tensor[] {images(4).contiguous(format), images(4).to(ScalarType.Double)}) {
        conv.to(x.scalar_type(), false);
        clip.to(x.scalar_type(), false);
        assertSame(conv, clip, x);
        assertClose(relu(conv, x), Blocks.convMaxPoolRelu(conv, x), "relu");
      }
    }
  }

  static Stream<ThresholdLayer> everyLayer() {
    return Stream.concat(withAShortWay(), withoutAShortWay());
  }

  /** They clip from above alone, and the gradient of their threshold is the exact one. */
  private static Stream<ThresholdLayer> withAShortWay() {
    return Stream.of(
        new Clip(new ClipOptions(ClipForm.TIED)),
        new Clip(new ClipOptions(ClipForm.RELU)),
        clip(options -> options.perChannel(32, -3).initial(0.3)),
        clip(options -> options.parameterization(Parameterization.EXP).floor(0.1)));
  }

  private static Stream<ThresholdLayer> withoutAShortWay() {
    return Stream.of(
        new Clip(new ClipOptions(ClipForm.TWO_SIDED)),
        new Clip(new ClipOptions(ClipForm.UNTIED)),
        new Clip(new ClipOptions(ClipForm.SOFT)),
        new Clip(new ClipOptions(ClipForm.GENERALIZED_RELU)),
        clip(options -> options.gradient(ThresholdGradient.MEAN)),
        new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ, 4)));
  }

  private static Clip clip(UnaryOperator<ClipOptions> change) {
    return new Clip(change.apply(new ClipOptions(ClipForm.RELU).initial(0.5)));
  }

  @ParameterizedTest
  @MethodSource("everyLayer")
  void takesEveryLayer(ThresholdLayer layer) {
    Conv2dImpl conv = conv(options -> {});
    assertSame(conv, layer, images(4).contiguous(MemoryFormat.ChannelsLast));
  }

  /** A layer is either given what relu() gives, or does that itself. */
  @ParameterizedTest
  @MethodSource("everyLayer")
  void reluClipIsReluAndTheLayer(ThresholdLayer layer) {
    Tensor x = torch.randn(2, 32, 6, 6);
    assertClose(layer.forward(layer.rectifies() ? x : x.relu()), reluClip(layer, x), layer + "");
  }

  private static Tensor reluClip(ThresholdLayer layer, Tensor x) {
    return Blocks.reluClip(layer, x.clone());
  }

  private static Stream<ThresholdLayer> inPlace() {
    return Stream.concat(
        withAShortWay(),
        Stream.of(
            new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 4)),
            new FakeQuantize(
                new FakeQuantizeOptions(QuantizationMethod.PACT, 2, false, 0.7, 32, 1))));
  }

  private static Stream<ThresholdLayer> everyLayerAndPact() {
    return Stream.concat(inPlace(), withoutAShortWay());
  }

  /** Whoever looks at the activations gets them before they are overwritten. */
  @ParameterizedTest
  @MethodSource("everyLayerAndPact")
  void aPassThatIsObservedOrShownGivesTheSame(ThresholdLayer layer) {
    Tensor leaf = Gradients.leaf(torch.randn(8, 32, 12, 12));
    List<Tensor> observed = reluClipAndGradients(layer, leaf); // as the first always is
    assertTrue(layer.statistics().isPresent());
    layer.setObserved(false);
    List<Tensor> shown = new ArrayList<>();
    layer.showNext(x -> shown.add(x.clone()));
    List<Tensor> whileShown = reluClipAndGradients(layer, leaf);
    Bits.assertSame(layer.rectifies() ? leaf : leaf.relu(), shown.get(0), "shown");
    List<Tensor> plain = reluClipAndGradients(layer, leaf);
    for (int i = 0; i < plain.size(); i++) {
      Bits.assertSame(plain.get(i), observed.get(i), "observed, result " + i);
      Bits.assertSame(plain.get(i), whileShown.get(i), "shown, result " + i);
    }
  }

  @Test
  void aLeafThatRequiresAGradientStaysAsItIs() {
    for (ThresholdLayer layer :
        List.of(
            new Clip(new ClipOptions(ClipForm.TIED)),
            new Clip(new ClipOptions(ClipForm.SOFT)),
            new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 4)),
            new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.LSQ, 4)))) {
      for (int pass = 0; pass < 2; pass++) { // the first is observed
        Tensor leaf = Gradients.leaf(torch.randn(8, 32, 12, 12));
        Tensor before = leaf.detach().clone();
        Blocks.reluClip(layer, leaf).sum().backward();
        Bits.assertSame(before, leaf.detach(), "x");
        assertTrue(leaf.grad().defined());
      }
    }
  }

  private static List<Tensor> reluClipAndGradients(ThresholdLayer layer, Tensor leaf) {
    Tensor y = Blocks.reluClip(layer, leaf.mul(new Scalar(1)));
    y.square().sum().backward();
    List<Tensor> results = new ArrayList<>(List.of(y, leaf.grad().clone()));
    leaf.mutable_grad().reset();
    addGradients(results, layer.parameters());
    return results;
  }

  /** From the second pass on, as the first is observed. */
  @ParameterizedTest
  @MethodSource("inPlace")
  void reluClipTakesThePlaceOfWhatItIsGiven(ThresholdLayer layer) {
    assumeTrue(ClipOp.backend().startsWith("native ("), "needs the kernels");
    layer.setObserved(false);
    Tensor leaf = Gradients.leaf(torch.randn(8, 32, 12, 12));
    Tensor x = leaf.mul(new Scalar(1));
    assertTrue(Blocks.reluClip(layer, x).is_same(x));
    scope.noGrad();
    assertTrue(Blocks.reluClip(layer, leaf).is_same(leaf));
  }

  @Test
  void whatDoesNotFitIsNotTouched() {
    Clip other = new Clip(new ClipOptions(ClipForm.TIED).perChannel(16, 1));
    Tensor x = torch.randn(8, 32, 12, 12);
    Tensor before = x.clone();
    assertRefused(
        "the activations have the shape [8, 32, 12, 12]: this layer takes 16 channels along"
            + " dimension 1",
        () -> Blocks.reluClip(other, x));
    assertTrue(x.equal(before));
  }

  @Test
  void goesTheShortWayWhereThereIsOne() {
    Conv2dImpl plain = conv(options -> {});
    plain.weight().set_data(plain.weight().contiguous(MemoryFormat.ChannelsLast));
    Tensor x = images(4).contiguous(MemoryFormat.ChannelsLast);
    assumeTrue(
        PoolOp.isConvolutionNative(x, plain.weight(), plain.bias(), null),
        "no kernel for convolutions on this processor");
    assertEquals(0, Gradients.convolutions(Blocks.convMaxPoolRelu(plain, x)));
    withAShortWay()
        .map(layer -> Blocks.convMaxPoolClip(plain, layer, x))
        .forEach(y -> assertEquals(0, Gradients.convolutions(y)));
    withoutAShortWay()
        .map(layer -> Blocks.convMaxPoolClip(plain, layer, x))
        .forEach(y -> assertEquals(1, Gradients.convolutions(y)));
    List<Conv2dImpl> convolutions = everyConvolution().map(Supplier::get).toList();
    for (int i = 0; i < 2; i++) { // the second time, what is known of their options
      List<Long> singly = new ArrayList<>();
      for (Conv2dImpl conv : convolutions) {
        conv.weight().set_data(conv.weight().contiguous(MemoryFormat.ChannelsLast));
        singly.add(Gradients.convolutions(Blocks.convMaxPoolRelu(conv, x)));
      }
      // Without an option; and where what pads is said, but not that anything does.
      assertEquals(List.of(0L, 1L, 1L, 1L, 1L, 0L, 1L, 1L, 1L, 1L), singly);
    }
  }

  @Test
  void takesOneImageWithoutABatch() {
    Conv2dImpl conv = conv(options -> {});
    assertSame(conv, clip(options -> options), images(1).select(0, 0));
  }

  @Test
  void whatDoesNotFitIsOneSentence() {
    Conv2dImpl conv = conv(options -> {});
    Clip half = clip(options -> options.perChannel(16, 1));
    assertRefused(
        "the activations have the shape [4, 32, 3, 3]: this layer takes 16 channels along dimension 1",
        () -> Blocks.convMaxPoolClip(conv, half, images(4)));
    assertRefused(
        "the activations: there is no tensor", () -> Blocks.convMaxPoolRelu(conv, new Tensor()));
    assertRefused("the convolution: null was given", () -> Blocks.convMaxPoolRelu(null, images(4)));
    Clip clip = clip(options -> options);
    assertRefused(
        "the activations: there is no tensor",
        () -> Blocks.convMaxPoolClip(conv, clip, new Tensor()));
    assertRefused(
        "the convolution: null was given", () -> Blocks.convMaxPoolClip(null, clip, images(4)));
    assertRefused("the layer: null was given", () -> Blocks.convMaxPoolClip(conv, null, images(4)));
    Clip closed = clip(options -> options);
    closed.close();
    assertRefused(
        "the layer: it was closed; make it outside of the scope that closed it",
        () -> Blocks.convMaxPoolClip(conv, closed, images(4)));
  }

  private static void assertRefused(String sentence, Runnable call) {
    ActclipException e = assertThrows(ActclipException.class, call::run);
    assertTrue(e.isBadInput());
    assertEquals(sentence, e.getMessage());
  }

  private static Tensor images(long batch) {
    return torch.randn(batch, 16, 9, 9);
  }

  private static Tensor relu(Conv2dImpl conv, Tensor x) {
    return torch.max_pool2d(conv.forward(x), 2, 2).relu();
  }

  /** With and without a gradient, and the gradients. */
  private static void assertSame(Conv2dImpl conv, ThresholdLayer layer, Tensor values) {
    Tensor x = Gradients.leaf(values);
    Supplier<Tensor> block = () -> Blocks.convMaxPoolClip(conv, layer, x);
    Supplier<Tensor> single =
        () ->
            layer.forward(
                layer.rectifies() ? torch.max_pool2d(conv.forward(x), 2, 2) : relu(conv, x));
    List<Tensor> expected = results(single, conv, layer, x);
    List<Tensor> actual = results(block, conv, layer, x);
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      assertClose(expected.get(i), actual.get(i), "result " + i);
    }
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      assertClose(expected.get(0), block.get(), "without a gradient");
    }
  }

  /** The output, and the gradients of the sum of its squares. */
  private static List<Tensor> results(
      Supplier<Tensor> forward, Conv2dImpl conv, ThresholdLayer layer, Tensor x) {
    Tensor y = forward.get();
    y.square().sum().backward();
    List<Tensor> results = new ArrayList<>(List.of(y, x.grad().clone()));
    x.mutable_grad().reset();
    addGradients(results, conv.parameters());
    addGradients(results, layer.parameters());
    return results;
  }

  private static void addGradients(List<Tensor> to, TensorVector parameters) {
    for (long i = 0; i < parameters.size(); i++) {
      if (parameters.get(i).grad().defined()) {
        to.add(parameters.get(i).grad().clone());
        parameters.get(i).mutable_grad().reset();
      }
    }
  }

  private static void assertClose(Tensor expected, Tensor actual, String what) {
    Tensor largest = expected.abs().max().add(new Scalar(1e-3));
    double wrong = expected.sub(actual).abs().max().div(largest).item_double();
    assertTrue(wrong <= 2e-5, what + ": " + wrong);
    assertEquals(expected.scalar_type().intern(), actual.scalar_type().intern());
  }
}
