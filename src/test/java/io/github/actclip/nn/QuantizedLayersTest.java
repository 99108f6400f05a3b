package io.github.actclip.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Gradients;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LinearOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.kReflect;
import org.bytedeco.pytorch.kSame;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Layers with quantized weights, against LibTorch's layers and its own fake quantization. */
class QuantizedLayersTest {

  static {
    LibTorch.load();
  }

  @BeforeEach
  void seed() {
    torch.manual_seed(83);
  }

  static Stream<Consumer<Conv2dOptions>> everyKind() {
    return Stream.of(
        options -> {},
        options -> options.stride().put(new LongPointer(2, 3)),
        options -> options.padding().put(new LongPointer(1, 2)),
        options -> options.dilation().put(new LongPointer(2, 1)),
        options -> options.groups().put(4),
        options -> options.bias().put(false));
  }

  /** LibTorch's convolution whose weight was quantized by LibTorch, with its gradients. */
  @ParameterizedTest
  @MethodSource("everyKind")
  void isLibTorchsConvolutionByLibTorchsQuantizedWeight(Consumer<Conv2dOptions> kind) {
    Conv2dOptions options = options(kind);
    QuantizedConv2d conv = new QuantizedConv2d(options, lsq(8));
    Conv2dImpl plain = new Conv2dImpl(options);
    Tensor quantized = Gradients.leaf(quantizedByLibTorch(conv.weight(), conv.quantizer(), 0));
    plain.weight(quantized);
    plain.bias(conv.bias());
    Tensor x = torch.randn(3, 4, 9, 10);
    Bits.assertSame(plain.forward(x), conv.forward(x), "output");
    Bits.assertSame(plain.forward(x.select(0, 0)), conv.forward(x.select(0, 0)), "one image");

    plain.forward(x).square().sum().backward();
    conv.forward(x).square().sum().backward();
    Tensor inside = conv.weight().detach().div(scales(conv.quantizer())).abs().le(new Scalar(7));
    assertTrue(inside.sum().item_long() > inside.numel() / 2);
    Tensor expected = torch.where(inside, quantized.grad(), new Scalar(0));
    Tensor actual = torch.where(inside, conv.weight().grad(), new Scalar(0));
    Bits.assertSame(expected, actual, "straight through");
    assertTrue(conv.quantizer().thresholds().get(0).parameter().grad().defined());
  }

  @ParameterizedTest
  @EnumSource(QuantizationMethod.class)
  void isLibTorchsLinearLayerByTheQuantizedWeight(QuantizationMethod method) {
    for (boolean bias : new boolean[] {true, false}) {
      LinearOptions options = new LinearOptions(6, 5);
      options.bias().put(bias);
      QuantizedLinear linear =
          new QuantizedLinear(options, FakeQuantizeOptions.weights(method, 4, 5));
      LinearImpl plain = new LinearImpl(options);
      plain.weight(linear.quantizer().dequantize(linear.quantizer().codes(linear.weight())));
      plain.bias(linear.bias());
      for (Tensor x : List.of(torch.randn(7, 6), torch.randn(2, 3, 6))) {
        Bits.assertSame(plain.forward(x), linear.forward(x), method + "");
      }
    }
  }

  /** The quantizer starts where MSE says, and its threshold is found by its name. */
  @Test
  void startsFromTheWeightAndIsFoundInANetwork() {
    Net network = new Net();
    assertEquals(
        List.of("conv.weight_fake_quant.scale", "head.weight_fake_quant.scale"),
        List.copyOf(network.thresholds().keySet()));
    double scale = network.conv.quantizer().scale().select(0, 1).item_double();
    Tensor channel = network.conv.weight().select(0, 1);
    assertEquals(Calibration.MSE.threshold(channel, 4, true) / 7, scale, 1e-7);
    Tensor logits = network.forward(torch.randn(2, 4, 5, 5));
    assertArrayEquals(new long[] {2, 3}, logits.shape());
    assertEquals(6, network.parameters().size());
  }

  @Test
  void startsAgainFromAnotherWeight() {
    Net network = new Net();
    Tensor scale = network.conv.quantizer().scale().detach().clone();
    network.conv.weight().detach().mul_(new Scalar(3));
    Bits.assertSame(scale, network.conv.quantizer().scale().detach(), "not by itself");
    network.calibrateWeights();
    Tensor expected = scale.mul(new Scalar(3));
    assertTrue(expected.allclose(network.conv.quantizer().scale(), 1e-5, 0, false));
  }

  /** As a network's own layers do: calibration leaves what was calibrated from the weights. */
  @Test
  void calibrationFromDataLeavesTheWeightsAlone() {
    Net network = new Net();
    Tensor before = network.conv.quantizer().scale().detach().clone();
    network.calibrate(torch.randn(2, 4, 5, 5), Calibration.MAX);
    Bits.assertSame(before, network.conv.quantizer().scale().detach(), "scale");
    assertTrue(network.conv.quantizer().statistics().isEmpty());
  }

  private static final class Net extends Network {

    private final QuantizedConv2d conv =
        register("conv", new QuantizedConv2d(options(kind -> {}), lsq(8)));
    private final QuantizedLinear head =
        register(
            "head",
            new QuantizedLinear(
                new LinearOptions(8, 3),
                FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 4, 3)));

    Net() {
      toChannelsLast();
    }

    @Override
    public Tensor forward(Tensor x) {
      return head.forward(conv.forward(x).relu().mean(2, 3));
    }
  }

  /** The collector must not take its quantizer, and the quantizer goes where it goes. */
  @Test
  void itsQuantizerIsItsChild() {
    Module parent = new Module("parent");
    QuantizedConv2d conv = new QuantizedConv2d(options(kind -> {}), lsq(8));
    parent.register_module("conv", conv);
    System.gc();
    assertEquals(3, parent.parameters().size());
    parent.to(ScalarType.Double, false);
    Tensor x = torch.randn(1, 4, 4, 4).to(ScalarType.Double);
    assertEquals(ScalarType.Double, conv.forward(x).scalar_type().intern());
  }

  /** Their scopes end and the collector runs; the network still has all of them. */
  @Test
  void whatWasRegisteredWithinAScopeLivesOn() {
    Holder holder = new Holder();
    TensorScope.run(
        () -> {
          holder.hold("conv", new QuantizedConv2d(options(kind -> {}), lsq(8)));
          FakeQuantize own = new FakeQuantize(lsq(8));
          holder.hold("own", own);
          holder.hold("conv2", new QuantizedConv2d(options(kind -> {}), own));
          FakeQuantizeOptions rows = FakeQuantizeOptions.weights(QuantizationMethod.TQT, 4, 3);
          holder.hold("head", new QuantizedLinear(new LinearOptions(8, 3), rows));
          holder.hold("clip", new Clip(new ClipOptions(ClipForm.TWO_SIDED)));
          holder.hold("net", new io.github.actclip.nn.models.Net());
        });
    System.gc();
    TensorScope.run(
        () -> {
          holder.forward(torch.randn(2, 4, 5, 5)).sum().backward();
          assertEquals(
              List.of(
                  "conv.weight_fake_quant.scale",
                  "own.scale",
                  "head.weight_fake_quant.raw_max",
                  "clip.max",
                  "clip.min",
                  "net.act_max"),
              List.copyOf(holder.thresholds().keySet()));
          for (Threshold threshold : holder.thresholds().values()) {
            assertTrue(Double.isFinite(threshold.mean()));
            assertTrue(threshold.parameter().requires_grad());
          }
        });
  }

  private static final class Holder extends Network {

    private final Map<String, Module> held = new HashMap<>();

    void hold(String name, Module module) {
      held.put(name, register(name, module));
    }

    @Override
    public Tensor forward(Tensor x) {
      Tensor y = ((QuantizedConv2d) held.get("conv")).forward(x);
      y = y.add(((QuantizedConv2d) held.get("conv2")).forward(x));
      y = ((Clip) held.get("clip")).forward(y).mean(2, 3);
      y = ((QuantizedLinear) held.get("head")).forward(y);
      Tensor images = torch.ones(1, 3, 32, 32);
      return y.sum().add(((Network) held.get("net")).forward(images).sum());
    }
  }

  /** The block's fast way is for LibTorch's own convolutions. */
  @Test
  void aBlockCallsItsForward() {
    QuantizedConv2d conv =
        new QuantizedConv2d(new Conv2dOptions(4, 32, new LongPointer(3, 3)), lsq(32));
    Tensor x = torch.randn(2, 4, 10, 10).contiguous(MemoryFormat.ChannelsLast);
    Bits.assertSame(
        torch.max_pool2d(conv.forward(x), 2, 2).relu(), Blocks.convMaxPoolRelu(conv, x), "block");
  }

  @Test
  void whatItDoesNotTakeIsOneSentence() {
    String padding =
        "a quantized convolution takes a padding of zeros, as two numbers, and these options have"
            + " another: pad what it is given by torch.pad";
    Conv2dOptions same = options(options -> options.padding().put(new kSame()));
    assertRefused(padding, () -> new QuantizedConv2d(same, lsq(8)));
    Conv2dOptions reflect = options(options -> options.padding_mode().put(new kReflect()));
    assertRefused(padding, () -> new QuantizedConv2d(reflect, lsq(8)));
    assertRefused(
        "the activations have the shape [8, 4, 3, 3]: this layer takes 5 channels along dimension 0",
        () -> new QuantizedConv2d(options(options -> {}), lsq(5)));
    assertRefused(
        "the quantizer: null was given",
        () -> new QuantizedLinear(new LinearOptions(2, 2), (FakeQuantize) null));
    QuantizedConv2d conv = new QuantizedConv2d(options(options -> {}), lsq(8));
    assertRefused("the activations: there is no tensor", () -> conv.forward(new Tensor()));
    conv.close();
    assertRefused(
        "the convolution: it was closed; make it outside of the scope that closed it",
        () -> conv.forward(torch.ones(1, 4, 4, 4)));
  }

  private static void assertRefused(String sentence, Runnable call) {
    ActclipException e = assertThrows(ActclipException.class, call::run);
    assertTrue(e.isBadInput());
    assertEquals(sentence, e.getMessage());
  }

  private static Conv2dOptions options(Consumer<Conv2dOptions> change) {
    Conv2dOptions options = new Conv2dOptions(4, 8, new LongPointer(3, 3));
    change.accept(options);
    return options;
  }

  private static FakeQuantizeOptions lsq(int channels) {
    return FakeQuantizeOptions.weights(QuantizationMethod.LSQ, 4, channels);
  }

  private static Tensor quantizedByLibTorch(Tensor weight, FakeQuantize quantizer, long axis) {
    Tensor zeros = torch.zeros(weight.size(axis)).to(ScalarType.Int);
    return torch
        .fake_quantize_per_channel_affine(
            weight.detach(), quantizer.scale().detach(), zeros, axis, -8, 7)
        .detach();
  }

  private static Tensor scales(FakeQuantize quantizer) {
    return quantizer.scale().detach().view(-1, 1, 1, 1);
  }
}
