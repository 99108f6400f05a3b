package io.github.actclip.autograd;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.op.ClipOp;
import io.github.actclip.op.PoolOp;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Form;
import io.github.actclip.testing.Gradients;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** One rule for clips of any size: what is changed in place between forward and backward. */
class ChangedInPlaceTest {

  static {
    LibTorch.load();
  }

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
    torch.manual_seed(61);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** Functions of x and up to two thresholds, by LibTorch and by the chosen backend. */
  private static Map<String, Function<Tensor[], Tensor>> functions() {
    Map<String, Function<Tensor[], Tensor>> functions = new LinkedHashMap<>();
    for (Form form : Form.values()) {
      functions.put(form + ", ClipOp's", form::composed);
      functions.put(form + ", a rule", form::custom);
    }
    ThresholdGradient sum = ThresholdGradient.SUM;
    functions.put("clip", in -> ClipFunctions.clip(in[0], in[1], sum));
    functions.put("relu", in -> ClipFunctions.relu(in[0], in[1], sum));
    functions.put("two-sided", in -> ClipFunctions.clip(in[0], in[1], in[2], sum));
    functions.put("soft", in -> ClipOp.soft(in[0], in[1], 4));
    functions.put("pooled", in -> ClipFunctions.maxPoolClip(in[0], in[1]));
    functions.put("pooled, no limit", in -> ClipFunctions.maxPoolRelu(in[0]));
    return functions;
  }

  private static Stream<Arguments> cases() {
    return functions().entrySet().stream()
        .flatMap(
            f ->
                LongStream.of(2, 100, 2499, 2500, 6000) // times 8 elements: 20,000 are 2,500
                    .mapToObj(n -> Arguments.of(f.getKey(), n, f.getValue())));
  }

  private static Tensor[] inputs(long n, ScalarType type) {
    return new Tensor[] {
      Gradients.leaf(torch.randn(n, 2, 2, 2).to(type)),
      Gradients.leaf(torch.tensor(-0.5f).reshape(1)),
      Gradients.leaf(torch.tensor(0.5f).reshape(1))
    };
  }

  private static Tensor[] intermediates(Tensor... leaves) {
    return Stream.of(leaves).map(leaf -> leaf.mul(new Scalar(1))).toArray(Tensor[]::new);
  }

  /** Changes to it are not counted, so it is copied where backward reads it. */
  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void activationsOfInferenceModeAreTakenAtEverySize(
      String name, long n, Function<Tensor[], Tensor> function) {
    Tensor[] in = inputs(n, ScalarType.Float);
    function.apply(in).sum().backward();
    Tensor[] same = {null, Gradients.leaf(in[1].detach()), Gradients.leaf(in[2].detach())};
    InferenceMode guard = new InferenceMode();
    try (guard) {
      same[0] = in[0].detach().clone();
    }
    Tensor y = function.apply(same);
    if (!y.requires_grad()) { // Without a threshold there is nothing to learn.
      assertEquals("pooled, no limit", name);
      return;
    }
    y.sum().backward();
    for (int i = 1; i < in.length; i++) {
      assertEquals(in[i].grad().defined(), same[i].grad().defined());
      if (in[i].grad().defined()) {
        assertArrayEquals(Fixture.values(in[i].grad()), Fixture.values(same[i].grad()));
      }
    }
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void theActivationsMustNotBe(String name, long n, Function<Tensor[], Tensor> function) {
    for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16}) {
      Tensor[] in = intermediates(inputs(n, type));
      Tensor y = function.apply(in);
      in[0].add_(new Scalar(1));
      RuntimeException e =
          assertThrows(RuntimeException.class, () -> Autograd.backward(y.sum()), type + "");
      assertTrue(e.getMessage().matches("(?s).*(inplace|in place).*"), e.getMessage());
    }
  }

  /** As an optimizer does that steps before backward. */
  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cases")
  void aThresholdMayBe(String name, long n, Function<Tensor[], Tensor> function) {
    Tensor[] leaves = inputs(n, ScalarType.Float);
    function.apply(intermediates(leaves)).sum().backward();
    double[][] expected = Stream.of(leaves).map(Gradients::take).toArray(double[][]::new);
    Tensor[] in = intermediates(leaves);
    Tensor y = function.apply(in);
    in[1].add_(new Scalar(1));
    in[2].add_(new Scalar(1));
    Autograd.backward(y.sum());
    for (int i = 0; i < expected.length; i++) {
      assertArrayEquals(expected[i], Gradients.take(leaves[i]), "input " + i);
    }
  }

  @Test
  void theThresholdOfAConvolutionMayBeAndItsImagesMustNot() {
    Tensor images = Gradients.normal(2, 16, 12, 12).to(ScalarType.Float);
    Tensor x = images.contiguous(MemoryFormat.ChannelsLast);
    Tensor weight = torch.randn(32, 16, 5, 5).contiguous(MemoryFormat.ChannelsLast);
    Tensor bias = Gradients.leaf(torch.zeros(32));
    Tensor t = torch.ones(1);
    assumeTrue(PoolOp.isConvolutionNative(x, weight, bias, t), "needs the native convolution");
    ConvMaxPoolClipFunction.convMaxPoolClip(ConvMaxPoolClipTest.module(weight, bias), x, t)
        .sum()
        .backward();
    double[] expected = Gradients.take(bias);
    Tensor y =
        ConvMaxPoolClipFunction.convMaxPoolClip(ConvMaxPoolClipTest.module(weight, bias), x, t);
    t.add_(new Scalar(1));
    Autograd.backward(y.sum());
    assertArrayEquals(expected, Gradients.take(bias));
    Tensor other =
        ConvMaxPoolClipFunction.convMaxPoolClip(ConvMaxPoolClipTest.module(weight, bias), x, t);
    x.add_(new Scalar(1));
    assertThrows(RuntimeException.class, () -> Autograd.backward(other.sum()));
  }
}
