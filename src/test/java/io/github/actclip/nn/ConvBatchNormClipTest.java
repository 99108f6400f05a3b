package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.kCircular;
import org.bytedeco.pytorch.kSame;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Numbers against LibTorch's modules one by one, and both against the same in float64. */
class ConvBatchNormClipTest {

  static {
    LibTorch.load();
  }

  /** How many times LibTorch's error ours may be, and the rounding of a result of about one. */
  private static final double TIMES = 4;

  private static final double ROUNDING = 4e-7;

  private static final double MAX = 0.9;

  private final Clip clip = new Clip(new ClipOptions(ClipForm.RELU).initial(MAX));
  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    scope.noGrad();
    torch.manual_seed(7);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static LongPointer pair(long size) {
    return new LongPointer(size, size);
  }

  private static Conv2dImpl conv(int in, int out, int kernel, UnaryOperator<Conv2dOptions> more) {
    Conv2dOptions options = new Conv2dOptions(in, out, pair(kernel));
    options.bias().put(false);
    Conv2dImpl conv = new Conv2dImpl(more.apply(options));
    conv.weight().set_data(conv.weight().contiguous(MemoryFormat.ChannelsLast));
    return conv;
  }

  private static Conv2dImpl conv(int in, int out, int kernel, int stride, int padding) {
    return conv(
        in,
        out,
        kernel,
        options -> {
          options.stride().put(pair(stride));
          options.padding().put(pair(padding));
          return options;
        });
  }

  /** With running statistics like those of a training, in evaluation mode. */
  private static BatchNorm2dImpl norm(int channels) {
    BatchNorm2dImpl norm = new BatchNorm2dImpl(new BatchNormOptions(channels));
    norm.running_mean().copy_(torch.randn(channels).mul(new Scalar(0.3)));
    norm.running_var().copy_(torch.rand(channels).add(new Scalar(0.2)));
    norm.weight().set_data(torch.rand(channels).add(new Scalar(0.5)));
    norm.bias().set_data(torch.randn(channels).mul(new Scalar(0.2)));
    norm.eval();
    return norm;
  }

  private static Tensor images(long... shape) {
    return torch.randn(shape).contiguous(MemoryFormat.ChannelsLast);
  }

  /** LibTorch's, of the same numbers in another type. */
  private static Tensor expected(
      ScalarType type, Conv2dImpl conv, BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    conv.to(type, false);
    norm.to(type, false);
    Tensor y = norm.forward(conv.forward(x.to(type)));
    conv.to(ScalarType.Float, false);
    norm.to(ScalarType.Float, false);
    Tensor sum = addend.map(added -> y.add(added.to(type))).orElse(y);
    return sum.relu().clamp_max(new Scalar((double) (float) MAX));
  }

  private static double difference(Tensor x, Tensor exact) {
    return x.to(ScalarType.Double).sub(exact).abs().max().item_double();
  }

  private void assertRight(
      Conv2dImpl conv, BatchNorm2dImpl norm, Tensor x, Optional<Tensor> addend) {
    Tensor y =
        addend
            .map(added -> Blocks.convBatchNormAddClip(conv, norm, clip, x, added))
            .orElseGet(() -> Blocks.convBatchNormClip(conv, norm, clip, x));
    Tensor libTorch = expected(ScalarType.Float, conv, norm, x, addend);
    Tensor exact = expected(ScalarType.Double, conv, norm, x, addend);
    assertArrayEquals(libTorch.shape(), y.shape());
    double error = difference(y, exact);
    assertTrue(error <= TIMES * difference(libTorch, exact) + ROUNDING, "error " + error);
  }

  @ParameterizedTest
  @CsvSource({
    "3, 16, 3, 1, 1, 32, 32",
    "16, 16, 3, 1, 1, 32, 31",
    "16, 32, 3, 2, 1, 33, 32",
    "32, 48, 3, 2, 1, 7, 8",
    "64, 64, 3, 1, 1, 8, 8",
    "5, 80, 1, 1, 0, 6, 9",
    "16, 32, 1, 2, 0, 9, 9",
    "1, 32, 5, 3, 2, 17, 4",
    "7, 16, 5, 1, 4, 2, 2",
    "4, 16, 3, 1, 0, 3, 3",
    "2, 112, 7, 2, 3, 20, 20"
  })
  void oneConvolution(int in, int out, int kernel, int stride, int padding, int height, int width) {
    Conv2dImpl conv = conv(in, out, kernel, stride, padding);
    BatchNorm2dImpl norm = norm(out);
    Tensor x = images(3, in, height, width);
    assertRight(conv, norm, x, Optional.empty());
    Tensor addend = torch.randn_like(conv.forward(x)).contiguous(MemoryFormat.ChannelsLast);
    assertRight(conv, norm, x, Optional.of(addend));
    if (ClipOp.backend().startsWith("native (AVX")) {
      Tensor t = torch.ones(1);
      assertTrue(
          ClipFunctions.convBatchNormRelu(conv, norm, x, Optional.empty(), () -> t).isPresent());
      assertTrue(
          ClipFunctions.convBatchNormRelu(conv, norm, x, Optional.of(addend), () -> t).isPresent());
    }
  }

  @Test
  void otherConvolutions() {
    BatchNorm2dImpl norm = norm(32);
    Tensor x = images(2, 16, 9, 9);
    assertRight(conv(16, 32, 3, ConvBatchNormClipTest::dilated), norm, x, Optional.empty());
    assertRight(conv(16, 32, 3, ConvBatchNormClipTest::grouped), norm, x, Optional.empty());
    assertRight(conv(16, 32, 3, ConvBatchNormClipTest::circular), norm, x, Optional.empty());
    assertRight(conv(16, 32, 3, ConvBatchNormClipTest::same), norm, x, Optional.empty());
    assertRight(conv(16, 32, 3, ConvBatchNormClipTest::uneven), norm, x, Optional.empty());
    assertRight(conv(16, 32, 3, ConvBatchNormClipTest::biased), norm, x, Optional.empty());
    assertRight(conv(16, 12, 3, 1, 1), norm(12), x, Optional.empty());
    assertRight(conv(16, 32, 3, 1, 1), norm, x.contiguous(), Optional.empty());
    assertRight(conv(16, 32, 3, 1, 1), norm, x, Optional.of(torch.randn(32, 1, 1)));
  }

  private static Conv2dOptions dilated(Conv2dOptions options) {
    options.dilation().put(pair(2));
    return options;
  }

  private static Conv2dOptions grouped(Conv2dOptions options) {
    options.groups().put(2);
    return options;
  }

  private static Conv2dOptions circular(Conv2dOptions options) {
    options.padding().put(pair(1));
    options.padding_mode().put(new kCircular());
    return options;
  }

  private static Conv2dOptions same(Conv2dOptions options) {
    options.padding().put(new kSame());
    return options;
  }

  private static Conv2dOptions uneven(Conv2dOptions options) {
    options.padding().put(new LongPointer(0, 1));
    options.stride().put(new LongPointer(2, 1));
    return options;
  }

  private static Conv2dOptions biased(Conv2dOptions options) {
    options.bias().put(true);
    return options;
  }

  @Test
  void eachChannelHasItsThreshold() {
    Conv2dImpl conv = conv(3, 16, 3, 1, 1);
    BatchNorm2dImpl norm = norm(16);
    Tensor x = images(2, 3, 8, 8);
    for (int axis : new int[] {1, -3}) {
      Clip each = new Clip(new ClipOptions(ClipForm.RELU).initial(MAX).perChannel(16, axis));
      Tensor t = torch.rand(16);
      each.thresholds().get(0).parameter().set_data(t);
      Tensor y = Blocks.convBatchNormClip(conv, norm, each, x);
      Tensor expected = norm.forward(conv.forward(x)).relu().minimum(t.view(16, 1, 1));
      assertTrue(difference(y, expected.to(ScalarType.Double)) < 1e-5);
    }
    Clip none = new Clip(new ClipOptions(ClipForm.NONE));
    Tensor y = Blocks.convBatchNormClip(conv, norm, none, x);
    assertTrue(difference(y, norm.forward(conv.forward(x)).relu().to(ScalarType.Double)) < 1e-5);
  }

  /** Of a batch each image gets what it gets alone, with any number of threads. */
  @Test
  void noBitDependsOnTheBatchOrTheThreads() {
    Conv2dImpl conv = conv(16, 48, 3, 1, 1);
    BatchNorm2dImpl norm = norm(48);
    Tensor x = images(9, 16, 20, 20);
    int threads = LibTorch.threads();
    try {
      LibTorch.setThreads(1);
      Tensor y = Blocks.convBatchNormClip(conv, norm, clip, x);
      LibTorch.setThreads(4);
      assertTrue(y.equal(Blocks.convBatchNormClip(conv, norm, clip, x)));
      for (int i = 0; i < 9; i++) {
        Tensor alone = Blocks.convBatchNormClip(conv, norm, clip, x.narrow(0, i, 1));
        assertTrue(y.narrow(0, i, 1).equal(alone));
      }
    } finally {
      LibTorch.setThreads(threads);
    }
  }

  @Test
  void notANumberStaysOne() {
    Conv2dImpl conv = conv(3, 16, 3, 1, 1);
    BatchNorm2dImpl norm = norm(16);
    Tensor x = images(1, 3, 8, 8);
    x.narrow(2, 0, 1).fill_(new Scalar(Double.NaN));
    Tensor y = Blocks.convBatchNormClip(conv, norm, clip, x);
    Tensor expected = expected(ScalarType.Float, conv, norm, x, Optional.empty());
    assertTrue(y.isnan().equal(expected.isnan()));
    assertEquals(2 * 8 * 16, y.isnan().sum().item_long());
  }

  /** In training, and where gradients are recorded, it is not taken. */
  @Test
  void whatLearnsGoesTheOtherWay() {
    Conv2dImpl conv = conv(3, 16, 3, 1, 1);
    BatchNorm2dImpl norm = norm(16);
    Tensor x = images(2, 3, 8, 8);
    Tensor t = torch.ones(1);
    norm.train(true);
    assertTrue(ClipFunctions.convBatchNormRelu(conv, norm, x, Optional.empty(), () -> t).isEmpty());
    norm.eval();
    GradMode.set_enabled(true); // The scope ends that.
    assertTrue(Blocks.convBatchNormClip(conv, norm, clip, x).requires_grad());
  }
}
