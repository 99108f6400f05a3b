package io.github.actclip.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.QuantizedConv2d;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorNumbers;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.BatchNorm2dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Codes of a network of a user's own, and what cannot be in integers. */
class IntegerRefusalTest {

  static {
    LibTorch.load();
  }

  @TempDir private Path folder;

  /** Two convolutions, a shortcut and a pool, whose output is codes. */
  private static final class Own extends Network {

    private final QuantizedConv2d conv1 = register("conv1", conv(2, 4));
    private final BatchNorm2dImpl bn1 =
        register("bn1", new BatchNorm2dImpl(new BatchNormOptions(4)));
    private final FakeQuantize act1 = register("act1", act());
    private final QuantizedConv2d conv2 = register("conv2", conv(4, 4));
    private final BatchNorm2dImpl bn2 =
        register("bn2", new BatchNorm2dImpl(new BatchNormOptions(4)));
    private final FakeQuantize act2 = register("act2", act());
    private final int layers;

    Own(int layers) {
      this.layers = layers;
      TensorScope.run(
          () -> {
            bn1.running_mean().uniform_(-0.2, 0.2, new GeneratorOptional());
            bn1.weight().set_data(torch.tensor(new float[] {1, -0.5f, 2, 0}));
            bn2.bias().set_data(torch.tensor(new float[] {0.1f, 0.2f, -0.1f, 0.3f}));
          });
    }

    private static QuantizedConv2d conv(int in, int out) {
      Conv2dOptions options = new Conv2dOptions(in, out, new LongPointer(3, 3));
      options.padding().put(new LongPointer(1, 1));
      return new QuantizedConv2d(
          options, FakeQuantizeOptions.weights(QuantizationMethod.PACT, 8, out));
    }

    private static FakeQuantize act() {
      return new FakeQuantize(FakeQuantizeOptions.activations(QuantizationMethod.PACT, 6));
    }

    @Override
    public Tensor forward(Tensor x) {
      return LayerGraph.eager().network(this, x);
    }

    @Override
    public <V> V describe(LayerGraph<V> graph, V x) {
      V y = graph.batchNormClip(bn1, act1, graph.conv(conv1, x));
      y = graph.maxPool(3, 2, 1, y);
      return layers == 1 ? y : graph.batchNormAddClip(bn2, act2, graph.conv(conv2, y), y);
    }
  }

  /**
   * One layer is off by a tie at most; two, by what the first one's, and a branch of 8 bits, add.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void codesAreWithinOneStep(int layers) {
    torch.manual_seed(5);
    Own own = new Own(layers);
    own.eval();
    Path file = folder.resolve("own.onnx");
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor x = torch.randint(0, 256, new long[] {64, 2, 8, 8}).div(new Scalar(255f));
      IntegerNetwork integers = IntegerNetwork.of(own, x);
      Onnx.export(integers, file, OnnxOptions.of(2, 8, 8));
      double step = own.act2.scale().item_double();
      double[] expected = TensorNumbers.of(own.forward(x).div(new Scalar(step)));
      float[] pixels = floats(TensorNumbers.of(x));
      int off = 0;
      try (OnnxModel model = new OnnxModel(file)) {
        float[] onnx = model.run(x);
        int each = onnx.length / 64;
        for (int i = 0; i < 64; i++) {
          float[] sample = Arrays.copyOfRange(pixels, i * 128, (i + 1) * 128);
          long[] codes = integers.logits(sample);
          for (int j = 0; j < each; j++) {
            assertEquals(expected[i * each + j], codes[j], 1.001);
            assertEquals(codes[j], onnx[i * each + j] / step, 1.001);
            off += Math.abs(expected[i * each + j] - codes[j]) > 0.5 ? 1 : 0;
          }
        }
        assertTrue(off <= onnx.length * (layers == 1 ? 0.001 : 0.15), off + " of " + onnx.length);
      }
    }
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  private static Net net(ActivationOptions way) {
    return new Net(new NetOptions(3, 16, 10, way));
  }

  private static final ActivationOptions PACT =
      ActivationOptions.original().quantized(QuantizationMethod.PACT, 8, 8);

  @Test
  void whatIsNotQuantizedIsNamed() {
    assertRefused(net(ActivationOptions.original()), "conv1.weight is not quantized");
    assertRefused(
        net(ActivationOptions.original().quantized(QuantizationMethod.PACT, 0, 8)),
        "a clip of the form TIED is no quantizer");
    assertRefused(net(PACT.perChannel(true)), "or a scale for each channel");
    Net offset = net(ActivationOptions.original().quantized(QuantizationMethod.LSQ_PLUS, 8, 8));
    TensorScope.run(
        () ->
            StateDict.of(offset)
                .get("act_offset")
                .set_data(torch.full(new long[] {1}, new Scalar(0.5))));
    assertRefused(offset, "has an offset");
  }

  @Test
  void aBiasThatDoesNotFitIsNamed() {
    Net net = net(PACT);
    TensorScope.run(
        () ->
            StateDict.of(net)
                .get("conv1.bias")
                .set_data(torch.full(new long[] {32}, new Scalar(1e6))));
    assertRefused(net, "channel 0 of conv1.weight may add up to ");
  }

  /** Its weights are nothing beside the bias, as in a channel whose scale training drove down. */
  @Test
  void aDeadChannelIsItsBias() {
    Net net = net(ActivationOptions.original().quantized(QuantizationMethod.LSQ, 8, 8));
    TensorScope.run(
        () ->
            StateDict.of(net)
                .get("linear_quantizer.scale")
                .set_data(torch.full(new long[] {10}, new Scalar(1e-38))));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      IntegerNetwork integers = IntegerNetwork.of(net, torch.rand(4, 3, 16, 16));
      double[] expected = TensorNumbers.of(StateDict.of(net).get("linear.bias"));
      long[] logits = integers.logits(new float[768]);
      for (int i = 0; i < 10; i++) {
        assertEquals(expected[i], logits[i] * integers.scale(), 1e-6);
      }
    }
  }

  @Test
  void anotherShapeIsRefused() {
    IntegerNetwork integers = IntegerNetwork.of(net(PACT), torch.rand(4, 3, 16, 16));
    ActclipException refusal =
        assertThrows(
            ActclipException.class,
            () -> Onnx.export(integers, folder.resolve("no.onnx"), OnnxOptions.of(3, 32, 32)));
    assertEquals(
        "samples of the shape [3, 32, 32] are asked for, and the network was calibrated with [3, 16, 16]",
        refusal.getMessage());
    refusal = assertThrows(ActclipException.class, () -> integers.classOf(new float[5]));
    assertEquals(
        "the sample has 5 numbers, and the network takes [3, 16, 16]", refusal.getMessage());
  }

  @Test
  void dataThatCannotCalibrateIsRefused() {
    for (Tensor data :
        List.of(
            torch.zeros(0, 3, 16, 16),
            torch.zeros(new long[0]),
            torch.full(new long[] {1, 3, 16, 16}, new Scalar(Double.NaN)),
            torch.full(new long[] {1, 3, 16, 16}, new Scalar(Double.POSITIVE_INFINITY)))) {
      ActclipException e =
          assertThrows(ActclipException.class, () -> IntegerNetwork.of(net(PACT), data));
      assertTrue(
          e.getMessage().contains("must be (B, …) with one sample at least"), e.getMessage());
    }
  }

  private static void assertRefused(Network network, String reason) {
    TensorScope.run(
        () -> {
          Tensor x = torch.rand(4, 3, 16, 16);
          ActclipException refusal =
              assertThrows(ActclipException.class, () -> IntegerNetwork.of(network, x));
          assertTrue(refusal.getMessage().contains(reason), refusal.getMessage());
          assertEquals(1, refusal.getMessage().lines().count());
        });
  }
}
