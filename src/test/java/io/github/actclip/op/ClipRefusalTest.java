package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ClipFunctions;
import io.github.actclip.autograd.FakeQuantizeFunction;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BinaryOperator;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What cannot be used is refused with one sentence, whichever method it is given to. */
class ClipRefusalTest {

  static {
    LibTorch.load();
  }

  private static final String FLOATING = "and a clip takes one of [Half, Float, Double, BFloat16]";

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** Every method, of the activations and the threshold that is given last. */
  static Stream<Arguments> methods() {
    Map<String, BinaryOperator<Tensor>> methods = new LinkedHashMap<>();
    methods.put("clip", ClipOp::clip);
    methods.put("relu", ClipOp::relu);
    methods.put("two-sided", (x, t) -> ClipOp.clip(x, torch.zeros(1), t));
    methods.put("untied", (x, t) -> ClipOp.untied(x, torch.zeros(1), t));
    methods.put("soft", (x, t) -> ClipOp.soft(x, t, 4));
    methods.put("generalized relu", (x, t) -> ClipOp.generalizedRelu(x, torch.zeros(1), t));
    methods.put("in place", ClipOp::clipInPlace);
    methods.put("position", (x, t) -> QuantizeOp.position(x, t, torch.zeros(1)));
    methods.put("fake quantize", ClipRefusalTest::fakeQuantize);
    addFunctions(methods, "SUM", ThresholdGradient.SUM);
    addFunctions(methods, "MEAN", ThresholdGradient.MEAN);
    return methods.entrySet().stream().map(e -> Arguments.of(e.getKey(), e.getValue()));
  }

  private static Tensor onMeta(long... shape) {
    return torch.ones(shape).to(new Device("meta"), ScalarType.Float);
  }

  /** A kernel would read the memory that it does not have. */
  @Test
  void aGradientElsewhere() {
    Tensor x = torch.ones(2, 3);
    Limits limits = Limits.above(torch.ones(1));
    Grid grid = new Grid(torch.ones(1), torch.zeros(1), 0, 3);
    Tensor g = onMeta(2, 3);
    String sentence = "the activations are on cpu and the gradient is on meta: move one of them";
    assertRefused(sentence, () -> ClipOp.clipBackward(g, x, limits, true, true, false, false));
    assertRefused(sentence, () -> ClipOp.statistics(g, x, limits));
    assertRefused(
        sentence,
        () -> QuantizeOp.fakeQuantizeBackward(g, x, grid, ScaleGradient.CLIPPED, true, true, true));
  }

  /** A record may be made of anything. */
  @Test
  void aLimitThatIsNoTensor() {
    Tensor x = torch.ones(3);
    Tensor t = torch.ones(1);
    Tensor closed = torch.ones(1);
    closed.close();
    String sentence = "the threshold: there is no tensor";
    for (Tensor none : new Tensor[] {closed, new Tensor()}) {
      assertRefused(sentence, () -> ClipOp.clip(x, new Limits(false, none, null, null)));
      assertRefused(sentence, () -> ClipOp.clip(x, new Limits(false, t, none, null)));
      assertRefused(sentence, () -> ClipOp.clip(x, new Limits(false, t, null, none)));
    }
    for (Tensor none : new Tensor[] {null, closed, new Tensor()}) {
      assertRefused(sentence, () -> QuantizeOp.fakeQuantize(x, new Grid(none, t, 0, 3)));
      assertRefused(sentence, () -> QuantizeOp.fakeQuantize(x, new Grid(t, none, 0, 3)));
    }
    assertRefused(sentence, () -> ClipOp.clip(x, new Limits(false, null, null, null)));
  }

  @Test
  void codesThatAreNone() {
    for (int[] codes : new int[][] {{1, 3}, {0, 0}, {-3, -1}}) {
      assertRefused(
          "codes from "
              + codes[0]
              + " to "
              + codes[1]
              + ": low must be at most 0, and high above 0",
          () -> new Grid(torch.ones(1), torch.zeros(1), codes[0], codes[1]));
    }
  }

  private static Tensor fakeQuantize(Tensor x, Tensor t) {
    return new FakeQuantizeFunction(0, 3, ScaleGradient.CLIPPED).apply(x, t, torch.zeros(1));
  }

  private static void addFunctions(
      Map<String, BinaryOperator<Tensor>> methods, String by, ThresholdGradient rule) {
    methods.put("clip by " + by, (x, t) -> ClipFunctions.clip(x, t, rule));
    methods.put("relu by " + by, (x, t) -> ClipFunctions.relu(x, t, rule));
    methods.put("two-sided by " + by, (x, t) -> ClipFunctions.clip(x, torch.zeros(1), t, rule));
    methods.put(
        "untied by " + by, (x, t) -> ClipFunctions.untied(x, torch.zeros(1), t, rule, rule));
    methods.put(
        "generalized relu by " + by,
        (x, t) -> ClipFunctions.generalizedRelu(x, torch.zeros(1), t, rule));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("methods")
  void noTensor(String name, BinaryOperator<Tensor> method) {
    for (Tensor none : new Tensor[] {null, new Tensor()}) {
      assertNoTensor("the activations", "0", () -> method.apply(none, torch.zeros(1)));
      assertNoTensor("the threshold", "[12]", () -> method.apply(torch.ones(3), none));
    }
  }

  /** A custom function speaks of its inputs by number. */
  private static void assertNoTensor(String what, String input, Executable body) {
    ActclipException e = assertThrows(ActclipException.class, body);
    String function =
        "input " + input + " of \\S+Function is (null|undefined or closed): it must be a tensor";
    assertTrue(e.getMessage().matches(what + ": there is no tensor|" + function), e.getMessage());
    assertTrue(e.isBadInput());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("methods")
  void integers(String name, BinaryOperator<Tensor> method) {
    for (ScalarType type : new ScalarType[] {ScalarType.Long, ScalarType.Byte, ScalarType.Bool}) {
      Tensor integers = torch.ones(3).to(type);
      assertRefused(
          "the activations: the dtype is " + type + ", " + FLOATING,
          () -> method.apply(integers, torch.ones(1)));
      assertRefused(
          "the threshold: the dtype is " + type + ", " + FLOATING,
          () -> method.apply(torch.ones(3), integers));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("methods")
  void aThresholdThatFitsNoAxis(String name, BinaryOperator<Tensor> method) {
    long[][] shapes = {{3}, {2, 1}, {1, 2, 3, 4}, {0}};
    String[] texts = {"[3]", "[2, 1]", "[1, 2, 3, 4]", "[0]"};
    for (int i = 0; i < shapes.length; i++) {
      long[] shape = shapes[i];
      assertRefused(
          "the threshold has the shape "
              + texts[i]
              + ", which does not broadcast to the activations' [2, 3, 4]: give one element, or one"
              + " for each channel",
          () -> method.apply(torch.ones(2, 3, 4), torch.ones(shape)));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("methods")
  void aThresholdOfMoreDimensionsThanTheActivations(String name, BinaryOperator<Tensor> method) {
    assertRefused(
        "the threshold has the shape [1, 3], which does not broadcast to the activations' [3]: give"
            + " one element, or one for each channel",
        () -> method.apply(torch.ones(3), torch.ones(1, 3)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("methods")
  void aThresholdElsewhere(String name, BinaryOperator<Tensor> method) {
    assertRefused(
        "the activations are on cpu and the threshold is on meta: move one of them",
        () -> method.apply(torch.ones(3), onMeta(1)));
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -1, 1e-40, Double.NaN, Double.POSITIVE_INFINITY, 1e39})
  void aSharpnessThatIsNone(double beta) {
    assertRefused(
        "beta ("
            + beta
            + ") must be above 0 and a normal float32 number, 1.17549435E-38 to 3.4028235E38",
        () -> ClipOp.soft(torch.ones(3), torch.ones(1), beta));
  }

  /** A rule that is missing must not be found out in backward. */
  @ParameterizedTest
  @EnumSource(
      value = ScalarType.class,
      names = {"Float", "BFloat16"})
  void noRule(ScalarType type) {
    Tensor x = torch.ones(3).to(type);
    Tensor t = torch.ones(1);
    ThresholdGradient rule = ThresholdGradient.SUM;
    assertRefused("the rule: there is none", () -> ClipFunctions.clip(x, t, null));
    assertRefused("the rule: there is none", () -> ClipFunctions.relu(x, t, null));
    assertRefused("the rule: there is none", () -> ClipFunctions.clip(x, t, t, null));
    assertRefused("the rule: there is none", () -> ClipFunctions.untied(x, t, t, null, rule));
    assertRefused("the rule: there is none", () -> ClipFunctions.untied(x, t, t, rule, null));
    assertRefused("the rule: there is none", () -> ClipFunctions.generalizedRelu(x, t, t, null));
  }

  /** A kernel reads the gradient as it reads the activations. */
  @Test
  void aGradientThatIsNotAsTheOutput() {
    Tensor x = torch.ones(2, 3);
    Limits limits = Limits.above(torch.ones(1));
    Grid grid = new Grid(torch.ones(1), torch.zeros(1), 0, 3);
    Tensor[] wrong = {torch.ones(3), torch.ones(2, 3).to(ScalarType.Double)};
    String[] is = {"Float of the shape [3]", "Double of the shape [2, 3]"};
    for (int i = 0; i < wrong.length; i++) {
      Tensor g = wrong[i];
      String sentence =
          "the gradient is " + is[i] + ": it must be as the output is, Float of [2, 3]";
      assertRefused(sentence, () -> ClipOp.clipBackward(g, x, limits, true, true, false, false));
      assertRefused(sentence, () -> ClipOp.statistics(g, x, limits));
      assertRefused(
          sentence,
          () ->
              QuantizeOp.fakeQuantizeBackward(g, x, grid, ScaleGradient.CLIPPED, true, true, true));
    }
    assertRefused(
        "the gradient: there is no tensor",
        () -> ClipOp.clipBackward(null, x, limits, true, true, false, false));
  }

  @Test
  void whatCannotBePooled() {
    for (long[] shape : new long[][] {{3}, {2, 3, 4}, {2, 3, 1, 4}, {2, 3, 4, 1}, {2, 0, 4, 4}}) {
      String sentence =
          "the activations have the shape "
              + Arrays.toString(shape)
              + ": max pooling takes (B, C, H, W), H and W 2 at least";
      assertRefused(sentence, () -> ClipFunctions.maxPoolClip(torch.ones(shape), torch.ones(1)));
      assertRefused(sentence, () -> ClipFunctions.maxPoolRelu(torch.ones(shape)));
    }
    for (long batch : new long[] {1, 1000}) { // few elements, and many
      assertRefused(
          "the activations have the shape ["
              + batch
              + ", 30, 30]: max pooling takes (B, C, H, W), H and W 2 at least",
          () -> ClipFunctions.maxPoolRelu(torch.ones(batch, 30, 30)));
      Tensor integers = torch.ones(batch, 3, 4, 4).to(ScalarType.Long);
      ActclipException e =
          assertThrows(ActclipException.class, () -> ClipFunctions.maxPoolRelu(integers));
      assertTrue(e.isBadInput());
    }
    assertThrows(ActclipException.class, () -> ClipFunctions.maxPoolRelu(null));
    assertRefused(
        "the threshold has the shape [4]: after max pooling it is one element, or (C, 1, 1)",
        () -> PoolOp.maxPoolClip(torch.ones(2, 3, 4, 4), torch.ones(4), true));
    Pooled pooled = PoolOp.maxPoolClip(torch.ones(2, 3, 4, 5), torch.ones(1), true);
    assertRefused(
        "the gradient has the shape [2, 3, 2]: it must be as the output is, of [2, 3, 2, 2]",
        () ->
            PoolOp.maxPoolClipBackward(
                torch.ones(2, 3, 2), pooled.codes(), torch.ones(1), 2, 3, 4, 5));
  }

  private static String elsewhere(String gradient, String what, String there) {
    return "the gradient is on "
        + gradient
        + " and the "
        + what
        + " on "
        + there
        + ": move one of them";
  }

  @Test
  void whatIsNotAsPoolingGaveIt() {
    Tensor g = torch.ones(2, 3, 2, 2);
    Tensor t = torch.ones(1);
    Tensor codes = PoolOp.maxPoolClip(torch.ones(2, 3, 4, 5), t, true).codes();
    assertPoolRefused("the gradient: there is no tensor", null, codes, t);
    assertPoolRefused("the threshold: there is no tensor", g, codes, null);
    assertPoolRefused("the codes: there is no tensor", g, null, t);
    assertPoolRefused("the codes: there is no tensor", g, new Tensor(), t);
    assertPoolRefused(elsewhere("cpu", "threshold is", "meta"), g, codes, onMeta(1));
    assertPoolRefused(elsewhere("cpu", "codes are", "meta"), g, onMeta(3), t);
    assertPoolRefused(elsewhere("meta", "threshold is", "cpu"), onMeta(2, 3, 2, 2), codes, t);
    assertPoolRefused(
        "the threshold has the shape [5]: after max pooling it is one element, or (C, 1, 1)",
        g,
        codes,
        torch.ones(5));
    assertPoolRefused(
        "the threshold has the shape [4, 1, 1], which does not broadcast to the activations' [2, 3,"
            + " 4, 5]: give one element, or one for each channel",
        g,
        codes,
        torch.ones(4, 1, 1));
    assertRefused(
        "the activations have the shape [2, 3, 4]: max pooling takes (B, C, H, W), H and W 2 at"
            + " least",
        () -> PoolOp.maxPoolClipBackward(g, codes, t, 2, 3, 4));
    for (Tensor wrong :
        new Tensor[] {codes.narrow(0, 0, 1), codes.view(-1), codes.to(ScalarType.Float)}) {
      assertPoolRefused(
          "the codes are not those that max pooling of activations of this shape gave",
          g,
          wrong,
          t);
    }
  }

  private static void assertPoolRefused(String sentence, Tensor g, Tensor codes, Tensor t) {
    assertRefused(sentence, () -> PoolOp.maxPoolClipBackward(g, codes, t, 2, 3, 4, 5));
  }

  /** The kernels would crash; LibTorch refuses it where it cannot compute without data. */
  @Test
  void whatHasNoDataIsNotForTheKernels() {
    Tensor x = onMeta(2, 3, 4, 5);
    Tensor t = onMeta(1);
    assertThrows(RuntimeException.class, () -> PoolOp.maxPoolClip(x, t, true));
    Tensor g = onMeta(2, 3, 2, 2);
    for (Tensor codes : new Tensor[] {g.to(ScalarType.Long), onMeta(12, 1).to(ScalarType.Byte)}) {
      assertThrows(
          RuntimeException.class, () -> PoolOp.maxPoolClipBackward(g, codes, t, 2, 3, 4, 5));
    }
  }

  private static void assertRefused(String sentence, Runnable body) {
    ActclipException e = assertThrows(ActclipException.class, body::run);
    assertEquals(sentence, e.getMessage());
    assertTrue(e.isBadInput());
  }
}
