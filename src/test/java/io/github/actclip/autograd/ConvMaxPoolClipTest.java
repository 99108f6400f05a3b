package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.PoolOp;
import io.github.actclip.op.Pooled;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Autocast;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Gradients;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kernels' own convolution, pooling, ReLU and clip, against LibTorch's in float64. */
class ConvMaxPoolClipTest {

  private static final long[] ONES = {1, 1};
  private static final long[] ZEROS = {0, 0};
  private static final double HALF_ULP_OF_ONE = 0x1p-24;

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(53);
    assumeTrue(
        new Block(1, 32, 6, 6, 32, 5, 5).isNative(),
        "no kernel for convolutions on this processor");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void leavesABiasThatIsNotContiguousAndAClosedThresholdAlone() {
    Block block = new Block(1, 32, 6, 6, 32, 5, 5);
    Tensor expanded = torch.zeros(1).expand(32);
    Tensor strided = torch.randn(32, 2).select(1, 0);
    for (Tensor bias : List.of(expanded, strided)) {
      assertNeverNative(block.x, block.weight, bias, block.t);
    }
    Tensor closed = torch.ones(1);
    closed.close();
    assertNeverNative(block.x, block.weight, block.bias, closed);
    Tensor codes = torch.zeros(1);
    assertThrows(
        ActclipException.class,
        () ->
            PoolOp.convMaxPoolClipBackward(
                block.g, codes, block.x, block.weight, closed, false, true));
    assertNeverNative(closed, block.weight, block.bias, block.t);
    assertNeverNative(null, block.weight, block.bias, block.t);
  }

  private static void assertNeverNative(Tensor x, Tensor weight, Tensor bias, Tensor t) {
    assertFalse(PoolOp.isConvolutionNative(x, weight, bias, t));
    try (TensorScope inner = new TensorScope()) {
      inner.noGrad();
      assertFalse(PoolOp.isConvolutionNative(x, weight, bias, t));
    }
  }

  /** What is convolved, its weights as leaves, and the gradient by the output. */
  private static final class Block {
    final Tensor x;
    final Tensor weight;
    final Tensor bias;
    final Tensor t;
    final Tensor g;

    Block(long images, long inputs, long height, long width, long outputs, long kh, long kw) {
      x = channelsLast(torch.randn(images, inputs, height, width));
      weight =
          Gradients.leaf(channelsLast(torch.randn(outputs, inputs, kh, kw).mul(new Scalar(0.1))));
      bias = Gradients.leaf(torch.randn(outputs));
      t = Gradients.leaf(torch.rand(outputs, 1, 1).add(new Scalar(0.5)));
      g = torch.randn(images, outputs, (height - kh + 1) / 2, (width - kw + 1) / 2);
    }

    private Block(Tensor x, Tensor weight, Tensor bias, Tensor t, Tensor g) {
      this.x = x;
      this.weight = weight;
      this.bias = bias;
      this.t = t;
      this.g = g;
    }

    /** Of small integers, so that there are many ties, and whose sums no order rounds. */
    static Block ofIntegers(Random random) {
      int kh = 1 + random.nextInt(5);
      int kw = 1 + random.nextInt(5);
      boolean large = random.nextInt(3) == 0; // such images are cut into bands
      int height = kh + 1 + random.nextInt(large ? 60 : 14);
      int width = kw + 1 + random.nextInt(large ? 200 : 14);
      int images = 1 + random.nextInt(large ? 3 : 30);
      int outputs = 32 * (1 + random.nextInt(3));
      boolean byX = large || random.nextBoolean();
      int inputs = byX ? 32 * (1 + random.nextInt(2)) : 1 + random.nextInt(40);
      Tensor x = channelsLast(integers(4, images, inputs, height, width));
      x.set_requires_grad(byX);
      return new Block(
          x,
          Gradients.leaf(channelsLast(integers(4, outputs, inputs, kh, kw))),
          Gradients.leaf(integers(4, outputs)),
          Gradients.leaf(integers(60, outputs, 1, 1)),
          integers(4, images, outputs, (height - kh + 1) / 2, (width - kw + 1) / 2));
    }

    Block with(Tensor otherX, Tensor otherT) {
      return new Block(otherX, weight, bias, otherT, g);
    }

    private static Tensor integers(long below, long... shape) {
      return torch.randint(1 - below, below, shape).to(ScalarType.Float);
    }

    Block inFloat64() {
      return new Block(wide(x), wide(weight), wide(bias), wide(t), g.to(ScalarType.Double));
    }

    private static Tensor wide(Tensor tensor) {
      Tensor wide = tensor.detach().to(ScalarType.Double);
      return tensor.requires_grad() ? Gradients.leaf(wide) : wide;
    }

    boolean isNative() {
      return PoolOp.isConvolutionNative(x, weight, bias, t);
    }

    Tensor inOnePass() {
      return t == null
          ? ConvMaxPoolClipFunction.convMaxPoolRelu(module(weight, bias), x)
          : ConvMaxPoolClipFunction.convMaxPoolClip(module(weight, bias), x, t);
    }

    Tensor inSinglePasses() {
      Tensor convolved = torch.conv2d(x, weight, new TensorOptional(bias), ONES, ZEROS, ONES, 1);
      return ClipOp.relu(torch.max_pool2d(convolved, 2, 2), t);
    }

    /** A bound of what rounding may add to an output, of any order of its sum. */
    Tensor rounding() {
      Tensor sum =
          torch.conv2d(x.abs(), weight.abs(), new TensorOptional(bias.abs()), ONES, ZEROS, ONES, 1);
      long terms = weight.numel() / weight.size(0) + 1;
      return torch.max_pool2d(sum, 2, 2).mul(new Scalar(terms * HALF_ULP_OF_ONE));
    }

    /** By x where it is a leaf, the weight, the bias and t. */
    List<Tensor> gradients(Tensor y) {
      List<Tensor> gradients = new ArrayList<>();
      Gradients.backward(y, g);
      for (Tensor leaf : new Tensor[] {x, weight, bias, t}) {
        if (leaf.requires_grad()) {
          gradients.add(leaf.grad().clone());
          leaf.mutable_grad().reset();
        }
      }
      return gradients;
    }
  }

  static Conv2dImpl module(Tensor weight, Tensor bias) {
    LongPointer kernel = new LongPointer(weight.size(2), weight.size(3));
    Conv2dImpl conv = new Conv2dImpl(new Conv2dOptions(weight.size(1), weight.size(0), kernel));
    conv.weight(weight);
    conv.bias(bias);
    return conv;
  }

  private static Tensor channelsLast(Tensor tensor) {
    return tensor.contiguous(MemoryFormat.ChannelsLast);
  }

  /**
   * The layers of Net; odd sizes; kernels not square; many images; large ones, which backward cuts
   * into bands, some lower than the kernel; and AVX2's smaller groups of channels.
   */
  @ParameterizedTest
  @CsvSource({
    "2, 3, 32, 32, 32, 5, 5",
    "2, 32, 14, 14, 64, 5, 5",
    "3, 32, 9, 12, 32, 3, 2",
    "1, 64, 7, 8, 96, 1, 1",
    "37, 32, 5, 6, 32, 2, 4",
    "1, 1, 61, 41, 32, 3, 3",
    "2, 32, 41, 90, 64, 3, 3",
    "1, 32, 49, 90, 96, 5, 3",
    "1, 32, 19, 600, 64, 8, 2",
    "0, 32, 6, 6, 32, 5, 5",
    "2, 16, 9, 8, 48, 3, 3",
    "5, 48, 12, 31, 16, 2, 5"
  })
  void isTheSinglePasses(
      long images, long inputs, long height, long width, long outputs, long kh, long kw) {
    Block block = new Block(images, inputs, height, width, outputs, kh, kw);
    assumeTrue(block.isNative() || outputs % 32 == 0, "the group is of 32 channels");
    boolean byX = inputs % 16 == 0;
    block.x.set_requires_grad(byX);
    Block exact = block.inFloat64();
    Tensor y = block.inOnePass();
    assertTrue(y.is_contiguous(MemoryFormat.ChannelsLast));
    Tensor expected = exact.inSinglePasses();
    Tensor wrong = y.sub(expected).abs().le(exact.rounding()).logical_not(); // NaN is wrong, too
    assertEquals(0, wrong.sum().item_long(), "outputs");

    List<Tensor> gradients = block.gradients(y);
    List<Tensor> expectedGradients = exact.gradients(expected);
    assertEquals(byX ? 4 : 3, gradients.size());
    for (int i = 0; i < gradients.size(); i++) {
      assertClose(expectedGradients.get(i), gradients.get(i), "gradient " + i);
    }
    assertTrue(gradients.get(gradients.size() - 3).is_contiguous(MemoryFormat.ChannelsLast));
  }

  @RepeatedTest(30)
  void isExactForSmallIntegers(RepetitionInfo repetition) {
    Block block = Block.ofIntegers(new Random(repetition.getCurrentRepetition()));
    Block exact = block.inFloat64();
    String shapes =
        Arrays.toString(block.x.shape()) + " by " + Arrays.toString(block.weight.shape());
    Tensor y = block.inOnePass();
    Tensor expected = exact.inSinglePasses();
    assertTrue(y.to(ScalarType.Double).equal(expected), shapes);
    List<Tensor> gradients = block.gradients(y);
    List<Tensor> expectedGradients = exact.gradients(expected);
    assertEquals(expectedGradients.size(), gradients.size());
    for (int i = 0; i < gradients.size(); i++) {
      Tensor gradient = gradients.get(i).to(ScalarType.Double);
      assertTrue(gradient.equal(expectedGradients.get(i)), "gradient " + i + ", " + shapes);
    }
  }

  private static void assertClose(Tensor expected, Tensor actual, String what) {
    if (expected.numel() > 0) {
      double difference = actual.sub(expected).abs().max().item_double();
      double largest = expected.abs().max().item_double();
      assertTrue(difference <= 2e-6 * largest, what + ": " + difference + " of " + largest);
    }
  }

  /**
   * One large term before very many small ones: each of them is lost when it is added to the large
   * one, and together they are not small. Sums by blocks lose those of one block. The first layer
   * of Net with a batch of 256, whose gradient by a weight has 12,544 terms in each of the chunks
   * of images; one row of a wide image.
   */
  @ParameterizedTest
  @CsvSource({"256, 3, 32, 32", "1, 1, 6, 16004"})
  void addsManyTermsByBlocks(long images, long inputs, long height, long width) {
    Block block = new Block(images, inputs, height, width, 32, 5, 5);
    for (Tensor ones : List.of(block.x, block.weight.data(), block.bias.data())) {
      ones.fill_(new Scalar(1));
    }
    block.t.data().fill_(new Scalar(1e9));
    block
        .g
        .fill_(new Scalar(0x1p-25))
        .narrow(0, 0, 1)
        .narrow(2, 0, 1)
        .narrow(3, 0, 1)
        .fill_(new Scalar(1));
    Block exact = block.inFloat64();
    List<Tensor> gradients = block.gradients(block.inOnePass());
    List<Tensor> expected = exact.gradients(exact.inSinglePasses());
    double bound =
        1100 * HALF_ULP_OF_ONE; // terms of a block, blocks and chunks; all terms are positive
    for (int i = 0; i < 2; i++) {
      Tensor error = gradients.get(i).sub(expected.get(i)).abs().div(expected.get(i));
      double largest = error.max().item_double();
      assertTrue(largest <= bound, "gradient " + i + ": " + largest);
    }
  }

  @Test
  void withoutALimitItIsPoolingAndRelu() {
    Block block = new Block(2, 32, 8, 8, 32, 3, 3);
    Block high = new Block(block.x, block.weight, block.bias, null, block.g);
    block.t.set_data(torch.full_like(block.t, new Scalar(Double.POSITIVE_INFINITY)));
    Tensor y = block.inOnePass();
    Bits.assertSame(y, high.inOnePass(), "output");
    List<Tensor> gradients = block.gradients(y);
    Gradients.backward(high.inOnePass(), high.g);
    Bits.assertSame(gradients.get(0), block.weight.grad(), "by weight");
    Bits.assertSame(gradients.get(1), block.bias.grad(), "by bias");
  }

  /** Whatever the threads, the other images of a batch, and whether gradients are recorded. */
  @Test
  void hasTheSameBitsAlways() {
    Block block = new Block(19, 32, 14, 14, 64, 5, 5);
    block.x.set_requires_grad(true);
    int threads = torch.get_num_threads();
    try {
      torch.set_num_threads(1);
      Tensor y = block.inOnePass();
      List<Tensor> gradients = block.gradients(y);
      torch.set_num_threads(3);
      Tensor again = block.inOnePass();
      Bits.assertSame(y, again, "with three threads");
      List<Tensor> gradientsAgain = block.gradients(again);
      for (int i = 0; i < gradients.size(); i++) {
        Bits.assertSame(gradients.get(i), gradientsAgain.get(i), "gradient " + i);
      }
      try (TensorScope inner = new TensorScope()) {
        inner.noGrad();
        Tensor alone = block.x.narrow(0, 7, 1);
        Tensor one =
            ConvMaxPoolClipFunction.convMaxPoolClip(
                module(block.weight, block.bias), alone, block.t);
        Bits.assertSame(y.narrow(0, 7, 1), one, "alone, and not recorded");
      }
    } finally {
      torch.set_num_threads(threads);
    }
  }

  /** One pixel infinite, one NaN: some outputs are, most are not. */
  @Test
  void passesInfinitiesAndNaN() {
    Block block = new Block(1, 32, 14, 14, 32, 3, 3);
    block.t.set_data(torch.full_like(block.t, new Scalar(Double.POSITIVE_INFINITY)));
    pixel(block.x, 3, 2).fill_(new Scalar(Float.POSITIVE_INFINITY));
    pixel(block.x, 9, 11).fill_(new Scalar(Float.NaN));
    Tensor expected = block.inSinglePasses();
    Tensor y = block.inOnePass();
    long infinite = expected.isinf().sum().item_long();
    long nan = expected.isnan().sum().item_long();
    assertTrue(infinite > 0 && nan > 0 && infinite + nan < expected.numel() / 2);
    assertTrue(y.isnan().equal(expected.isnan()));
    assertTrue(y.isinf().equal(expected.isinf()));
    Tensor finite = expected.isfinite();
    assertTrue(
        torch.allclose(expected.masked_select(finite), y.masked_select(finite), 1e-4, 1e-5, false));
    Tensor clipped = new Block(block.x, block.weight, block.bias, torch.ones(1), null).inOnePass();
    assertTrue(clipped.isnan().equal(expected.isnan()));
    assertTrue(clipped.masked_select(expected.isinf()).eq(new Scalar(1)).all().item_bool());
  }

  private static Tensor pixel(Tensor x, long row, long column) {
    return x.select(2, row).select(2, column).select(1, 5);
  }

  /** Frozen weights, while a threshold or what is before them learns. */
  @Test
  void whatIsFrozenGetsNoGradientAndTheOthersTheSame() {
    Block block = new Block(2, 32, 12, 12, 64, 5, 5);
    block.x.set_requires_grad(true);
    List<Tensor> all = block.gradients(block.inOnePass());
    block.weight.set_requires_grad(false);
    List<Tensor> some = block.gradients(block.inOnePass());
    assertEquals(3, some.size());
    Bits.assertSame(all.get(0), some.get(0), "by x");
    Bits.assertSame(all.get(2), some.get(1), "by bias");
    Bits.assertSame(all.get(3), some.get(2), "by t");
    assertFalse(block.weight.grad().defined());
    for (Tensor leaf : List.of(block.x, block.bias, block.t)) {
      leaf.set_requires_grad(false);
    }
    Tensor y = block.inOnePass();
    assertFalse(y.requires_grad());
    scope.noGrad();
    Bits.assertSame(block.inOnePass(), y, "with all frozen");
  }

  /** What the kernels do not take, its gradients too, is LibTorch's to the bit. */
  @Test
  void fallsBackToTheSinglePasses() {
    Block block = new Block(2, 3, 8, 8, 32, 3, 3);
    Tensor lazy = block.x.neg()._neg_view();
    assertIsSinglePasses(block.with(block.x.contiguous(), block.t), "contiguous");
    assertIsSinglePasses(block.with(lazy, block.t), "negated");
    assertIsSinglePasses(block.inFloat64(), "float64");
    assertIsSinglePasses(new Block(2, 3, 8, 8, 24, 3, 3), "24 channels");
    assertIsSinglePasses(new Block(1, 1024, 4, 4, 64, 3, 3), "too many weights");
    assertIsSinglePasses(block.with(Gradients.leaf(block.x.clone()), block.t), "by 3 channels");
    Autocast.run(
        new Device("cpu"),
        ScalarType.BFloat16,
        () -> {
          Bits.assertSame(block.inSinglePasses(), block.inOnePass(), "autocast");
          return block.x;
        });
  }

  private static void assertIsSinglePasses(Block block, String why) {
    assertFalse(block.isNative(), why);
    Tensor expected = block.inSinglePasses();
    Tensor y = block.inOnePass();
    Bits.assertSame(expected, y, why);
    List<Tensor> gradients = block.gradients(y);
    List<Tensor> exact = block.gradients(expected);
    for (int i = 0; i < exact.size(); i++) {
      assertClose(exact.get(i), gradients.get(i), why + ", gradient " + i);
    }
  }

  @Test
  void whatIsNoTensorIsRefused() {
    Block block = new Block(2, 3, 8, 8, 32, 3, 3);
    Block none = block.with(block.x, new Tensor());
    ActclipException e = assertThrows(ActclipException.class, none::inOnePass);
    assertEquals("the threshold: there is no tensor", e.getMessage());
    Block ofFive = block.with(block.x, block.t.view(1, 1, 32, 1, 1));
    assertThrows(ActclipException.class, ofFive::inOnePass);
  }

  @Test
  void whatIsNotOfOneConvolutionIsRefused() {
    scope.noGrad();
    Block b = new Block(2, 32, 8, 8, 32, 3, 3);
    Pooled pooled = PoolOp.convMaxPoolClip(b.x, b.weight, b.bias, b.t, true);
    Tensor codes = pooled.codes();
    assertRefused("the gradient: there is no tensor", b, null, codes, b.x);
    assertRefused("the gradient has the shape", b, b.g.narrow(2, 0, 2), codes, b.x);
    assertRefused("the gradient must be float32 of", b, b.g.to(ScalarType.Double), codes, b.x);
    assertRefused("the codes are not those", b, b.g, codes.narrow(0, 0, 2), b.x);
    assertRefused("the codes: there is no tensor", b, b.g, new Tensor(), b.x);
    assertRefused("the codes: there is no tensor", b, b.g, null, b.x);
    assertRefused("do not convolve inputs and weights like these", b, b.g, codes, b.x.contiguous());
    assertRefused("the images: there is no tensor", b, b.g, codes, new Tensor());
    assertRefused("is lazily negated", b, b.g, codes, b.x._neg_view());
    assertRefused("the gradient must be float32 of", b, b.g, codes, b.x.narrow(0, 0, 1));
    for (Tensor gradient :
        PoolOp.convMaxPoolClipBackward(b.g, codes, b.x, b.weight, b.t, true, true)) {
      assertTrue(gradient.defined());
    }
  }

  private static void assertRefused(String why, Block block, Tensor g, Tensor codes, Tensor x) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> PoolOp.convMaxPoolClipBackward(g, codes, x, block.weight, block.t, true, true));
    assertTrue(e.getMessage().contains(why), e.getMessage());
  }
}
