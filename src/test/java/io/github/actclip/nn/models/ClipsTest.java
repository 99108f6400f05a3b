package io.github.actclip.nn.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Threshold;
import io.github.actclip.op.ClipOp;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Gradients;
import io.github.actclip.testing.Scripted;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.QualifiedName;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A clip for each rectifier: where it stands, and what it computes. */
class ClipsTest {

  private static final Fixture FIXTURE = Fixture.load("scripted/expected");
  private static final ClipOptions RELU = new ClipOptions(ClipForm.RELU);
  private static final ClipOptions TIED = new ClipOptions(ClipForm.TIED);

  /** What float64 loses by sums in another order. */
  private static final double TOLERANCE = 1e-8;

  private TensorScope scope;

  static {
    LibTorch.load();
  }

  @BeforeEach
  void open() {
    torch.manual_seed(3);
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static ScriptModule insert(String name, ClipOptions options) {
    return Clips.insert(Scripted.file(name), options);
  }

  /** Of a network with every kind of rectifier in every place, in training mode. */
  @Test
  void theClippedNetworkIsThatOfPython() {
    ScriptModule network = insert("network", RELU.initial(FIXTURE.at("limit").asDouble()));
    network.to(ScalarType.Double, false);
    Tensor y = network.forward(FIXTURE.tensor("x"));
    FIXTURE.assertTensor("y", y, TOLERANCE);
    y.square().sum().backward();
    Map<String, Tensor> state = StateDict.of(network);
    List<String> learned = names("gradients");
    for (String name : learned) {
      FIXTURE.assertTensor("gradients/" + name, state.get(name).grad(), TOLERANCE);
    }
    for (String name : names("buffers")) {
      FIXTURE.assertTensor("buffers/" + name, state.get(name), TOLERANCE);
    }
    List<String> others = new ArrayList<>(state.keySet());
    others.removeAll(learned);
    others.removeAll(names("buffers"));
    assertEquals(List.of("v.clip12.max"), others, "of the branch that was not taken");
    assertFalse(state.get("v.clip12.max").grad().defined());
  }

  private static List<String> names(String path) {
    List<String> names = new ArrayList<>();
    FIXTURE.at(path).fieldNames().forEachRemaining(names::add);
    return names;
  }

  @Test
  void clipsAreObservedInTheOrderOfForward() {
    ScriptModule network = insert("network", RELU);
    List<String> expected =
        StreamSupport.stream(FIXTURE.at("order").spliterator(), false)
            .map(JsonNode::asText)
            .map(name -> name + ".max")
            .toList();
    Tensor x = FIXTURE.tensor("x").to(ScalarType.Float);
    assertEquals(expected, List.copyOf(network.observe(x).keySet()));
  }

  @Test
  void limitsThatNothingReachesChangeNoBit() {
    ScriptModule plain = ScriptModule.load(Scripted.file("network"));
    ScriptModule clipped = insert("network", TIED.initial(1e9));
    Tensor x = FIXTURE.tensor("x").to(ScalarType.Float);
    Bits.assertSame(plain.forward(x), clipped.forward(x), "training");
    plain.eval();
    clipped.eval();
    Bits.assertSame(plain.forward(x), clipped.forward(x), "evaluation");
    assertTrue(plain.thresholds().isEmpty());
  }

  /** Ties, NaN and infinities included; RELU replaces a relu6, TIED stands behind it. */
  @ParameterizedTest
  @EnumSource(names = {"RELU", "TIED"})
  void computesAndDifferentiatesAsClipOp(ClipForm form) {
    for (double limit : new double[] {-1, 0.5, 2, 7}) {
      ScriptModule network = insert("relu6", new ClipOptions(form).initial(2));
      Threshold threshold = network.thresholds().get("clip0.max");
      try (TensorScope inner = new TensorScope()) {
        inner.noGrad();
        threshold.parameter().fill_(new Scalar(limit));
      }
      Tensor t = Gradients.leaf(threshold.parameter());
      Tensor values = numbers();
      Tensor x = Gradients.leaf(values);
      Tensor twin = Gradients.leaf(values);
      Tensor y = network.forward(x);
      Tensor expected =
          form == ClipForm.RELU ? ClipOp.relu(twin, t) : ClipOp.clip(torch.relu6(twin), t);
      Bits.assertSame(expected, y, "at " + limit);
      Tensor g = torch.randn_like(values);
      Gradients.backward(y, g);
      Gradients.backward(expected, g);
      Bits.assertSame(twin.grad(), x.grad(), "by x at " + limit);
      assertEquals(t.grad().item_double(), threshold.parameter().grad().item_double(), 1e-4);
    }
  }

  /** TorchScript's optimizer would forget NaN's from the second pass on. */
  @Test
  void everyPassDifferentiatesAlike() {
    ScriptModule network = insert("in_place", RELU);
    for (int pass = 0; pass < 4; pass++) {
      Tensor x = Gradients.leaf(torch.full(new long[] {1}, new Scalar(Double.NaN)));
      network.forward(x).backward();
      assertEquals(4, x.grad().item_double(), "pass " + pass);
    }
  }

  private static Tensor numbers() {
    float[] special = {0, -0f, 0.5f, 2, 6, 7, -1, Float.MIN_VALUE, 1e30f, -1e30f};
    double infinity = Double.POSITIVE_INFINITY;
    Tensor infinite = torch.full(new long[] {1}, new Scalar(infinity));
    Tensor all = torch.randn(200).mul(new Scalar(3));
    Tensor nan = torch.full(new long[] {1}, new Scalar(Double.NaN));
    Tensor some = Tensor.create(special);
    return torch.cat(
        new org.bytedeco.pytorch.TensorVector(all, some, infinite, infinite.neg(), nan));
  }

  @Test
  void theClipOfALayerGivesTheSame() {
    ScriptModule network = insert("relu6", RELU.initial(0.5));
    Clip clip = new Clip(RELU.initial(0.5));
    for (ScalarType type : new ScalarType[] {ScalarType.BFloat16, ScalarType.Double}) {
      Tensor x = torch.randn(40, 50).to(type); // and thresholds in float32
      Bits.assertSame(clip.forward(x), network.forward(x), type.toString());
    }
  }

  @Test
  void whatIsRectifiedInPlaceIsClippedForAllWhoReadIt() {
    ScriptModule network = insert("in_place", RELU.initial(0.75));
    Tensor x = torch.randn(20);
    Tensor t = network.thresholds().get("clip0.max").parameter();
    Tensor y = ClipOp.relu(x.mul(new Scalar(2)), t);
    Tensor expected = y.add(ClipOp.relu(y.sub(new Scalar(1)), t));
    Bits.assertSame(expected, network.forward(x), "both");
  }

  @Test
  void modulesOfOneClassHaveClipsOfTheirOwn() {
    ScriptModule network = insert("shared", RELU);
    assertEquals(
        List.of("a.clip0.max", "b.clip0.max", "c.clip0.max"),
        List.copyOf(network.thresholds().keySet()));
    network.thresholds().get("a.clip0.max").set(3);
    assertEquals(1, network.thresholds().get("c.clip0.max").mean());
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void rulesAreSumAndFrozen(boolean frozen) {
    ThresholdGradient rule = frozen ? ThresholdGradient.FROZEN : ThresholdGradient.SUM;
    Threshold threshold = insert("relu6", TIED.gradient(rule)).thresholds().get("clip0.max");
    assertEquals(frozen, threshold.isFrozen());
    assertEquals(!frozen, threshold.parameter().requires_grad());
    assertTrue(threshold.meaning().startsWith("form=TIED"), threshold.meaning());
  }

  /** TorchScript keeps the plan of what has run, and would ignore that its graph was rewritten. */
  @Test
  void aModuleThatHasRunStaysAsItIs() {
    JitModule module = torch.load(Scripted.file("network").toString());
    Tensor x = FIXTURE.tensor("x").to(ScalarType.Float);
    module.eval();
    Tensor before = run(module, x);
    run(module, x);
    run(module, x);
    ScriptModule clipped = Clips.insert(module, RELU.initial(0.1));
    assertFalse(clipped.is_training());
    assertFalse(before.equal(clipped.forward(x)));
    Bits.assertSame(before, run(module, x), "the module");
    ScriptModule fromFile = insert("network", RELU.initial(0.1));
    fromFile.eval();
    Bits.assertSame(fromFile.forward(x), clipped.forward(x), "clipped");
  }

  /** Python makes no such file: it scripts a module twice that has two names. */
  @Test
  void aModuleByTwoNamesHasItsClipsOnce(@TempDir Path folder) {
    JitModule relu = torch.load(Scripted.file("relu6").toString());
    JitModule both = new JitModule(new QualifiedName("__torch__.Both"));
    both.register_attribute(
        "training", relu.type().getAttribute("training"), new IValue(true), false, false);
    both.register_module("one", relu);
    both.register_module("two", relu);
    both.define(
        """
        def forward(self, x: Tensor) -> Tensor:
          return self.two.forward(self.one.forward(x))
        """);
    Path file = folder.resolve("both.pt");
    both.save(file.toString());
    ScriptModule network = Clips.insert(file, RELU.initial(2));
    assertEquals(List.of("one.clip0.max"), List.copyOf(network.thresholds().keySet()));
    network.thresholds().get("one.clip0.max").set(0.5);
    Tensor x = torch.randn(30);
    Tensor expected =
        x.clamp(new ScalarOptional(new Scalar(0)), new ScalarOptional(new Scalar(0.5)));
    Bits.assertSame(expected, network.forward(x), "both");
  }

  private static Tensor run(JitModule module, Tensor x) {
    return new Tensor(module.forward(new IValueVector(new IValue(x))).toTensor());
  }
}
