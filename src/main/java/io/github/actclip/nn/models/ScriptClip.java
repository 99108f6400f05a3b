package io.github.actclip.nn.models;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.runtime.TensorScope;
import java.util.Collection;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import org.bytedeco.pytorch.ClassType;
import org.bytedeco.pytorch.CompilationUnit;
import org.bytedeco.pytorch.Graph;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.QualifiedName;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorList;
import org.bytedeco.pytorch.Type.TypePtr;
import org.bytedeco.pytorch.Value;
import org.bytedeco.pytorch.ValueVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Makes clips that are modules of TorchScript, all of one class, for one network: what Python runs
 * where this library is not there. The caller's scope owns what is made.
 */
final class ScriptClip {

  private static final String CLASS = "__torch__.actclip.Clip";
  private static final String MAX = "max";
  private static final String FORM = "form";
  private static final String SEEN = "seen";

  /** As {@code ClipOp.clip}: a tie's gradient goes to x, and so does that of NaN. */
  private static final String FORWARD =
      """
      def forward(self, x: Tensor) -> Tensor:
        assert x.is_floating_point(), "a clip got whole numbers, such as indices that are clamped"
        max = self.max.type_as(x)
        return torch.where(x > max, max, x)
      """;

  private static final String CALL =
      """
      def forward(self, x: Tensor) -> Tensor:
        return self.%s.forward(x)
      """;

  private static final String NOTHING =
      """
      def nothing(self) -> List[Tensor]:
        seen: List[Tensor] = []
        return seen
      """;

  private static final String LOOK =
      """
      def look(self, x: Tensor):
        self.seen.append(self.max)
        self.seen.append(x)
      """;

  private final Clip prototype;
  private final CompilationUnit unit;
  private final ClassType type;

  /** For the network {@code root}. */
  ScriptClip(JitModule root, ClipOptions options) {
    prototype = new Clip(options);
    unit = root._ivalue().compilation_unit();
    JitModule first = new JitModule(new QualifiedName(CLASS), unit, true);
    type = first.type();
    type.addConstant(FORM, new IValue(prototype.form().name()));
    fill(first, root);
    first.define(FORWARD);
  }

  /** Whether they take the place of the rectifiers. */
  boolean rectify() {
    return prototype.form().rectifies();
  }

  /** A clip to be registered in {@code root}, or below it. */
  JitModule make(JitModule root) {
    JitModule clip = new JitModule(unit, type);
    fill(clip, root);
    return clip;
  }

  private void fill(JitModule clip, JitModule root) {
    Tensor initial = prototype.thresholds().get(0).parameter();
    Tensor max = initial.detach().clone().set_requires_grad(initial.requires_grad());
    clip.register_parameter(MAX, max, false);
    // Python's and LibTorch's train() ask each module for it.
    TypePtr bool = root.type().getAttribute(ScriptModule.TRAINING);
    clip.register_attribute(ScriptModule.TRAINING, bool, root.attr(ScriptModule.TRAINING));
  }

  /**
   * Calls the clip of this name on what a node gives, and hands the result to everybody who comes
   * after.
   *
   * @param self the module in which the clip is registered
   * @return what it gives
   */
  Value insertCall(Graph graph, Value self, String name, Value x) {
    JitModule caller = new JitModule(new QualifiedName(CLASS + "Caller"));
    caller.register_module(name, new JitModule(unit, type));
    caller.define(String.format(Locale.ROOT, CALL, name));
    Graph call = ScriptGraphs.graph(caller, "forward");
    graph.setInsertPoint(x.node().next());
    return torch.insertGraph(graph, call, new ValueVector(self, x)).get(0);
  }

  /** Whether a module is a clip that this class has made. */
  static boolean isClip(JitModule module) {
    return ScriptGraphs.name(module.type()).equals(CLASS) && module.type().hasConstant(FORM);
  }

  /** The layer for a clip, which shares its threshold from now on; it is the caller's to close. */
  static Clip layer(JitModule script) {
    ClipForm form = ClipForm.valueOf(script.attr(FORM).toStringRef().getString());
    boolean learns = script.attr(MAX).toTensor().requires_grad();
    ThresholdGradient rule = learns ? ThresholdGradient.SUM : ThresholdGradient.FROZEN;
    Clip clip = new Clip(new ClipOptions(form).gradient(rule));
    TensorScope.run(
        () -> {
          Tensor max = clip.thresholds().get(0).parameter();
          max.set_data(script.attr(MAX).toTensor().detach());
          script.setattr(MAX, new IValue(max));
        });
    return clip;
  }

  /**
   * Makes clips note what comes to them.
   *
   * @param clips which nobody has run yet
   * @return the list that gets, at each call, the clip's threshold and the activations
   */
  static TensorList watch(Collection<JitModule> clips) {
    JitModule first = clips.iterator().next();
    first.define(NOTHING);
    TypePtr list = ScriptGraphs.graph(first, "nothing").outputs().get(0).type();
    IValue seen = first.get_method("nothing").apply(new IValueVector());
    clips.forEach(clip -> clip.register_attribute(SEEN, list, seen));
    Set<String> rewritten = new HashSet<>();
    for (JitModule clip : clips) {
      if (rewritten.add(clip.type().annotation_str().getString())) {
        clip.define(LOOK);
        Graph forward = ScriptGraphs.graph(clip, "forward");
        forward.setInsertPoint(ScriptGraphs.nodes(forward).get(0));
        ValueVector inputs = new ValueVector(forward.inputs().get(0), forward.inputs().get(1));
        torch.insertGraph(forward, ScriptGraphs.graph(clip, "look"), inputs);
      }
    }
    return seen.toTensorList();
  }
}
