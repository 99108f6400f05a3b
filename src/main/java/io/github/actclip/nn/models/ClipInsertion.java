package io.github.actclip.nn.models;

import io.github.actclip.nn.ClipOptions;
import io.github.actclip.runtime.ActclipException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.bytedeco.pytorch.ClassType;
import org.bytedeco.pytorch.Graph;
import org.bytedeco.pytorch.GraphFunction;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.JitNode;
import org.bytedeco.pytorch.Symbol;
import org.bytedeco.pytorch.Value;
import org.bytedeco.pytorch.ValueVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Follows {@code forward} through all methods that it calls, and puts a clip behind each rectifier.
 * Modules of one class share its graphs: those are rewritten once, and each module gets its clips.
 */
final class ClipInsertion {

  private static final String NAME = "clip";

  private final JitModule root;
  private final String what;
  private final ScriptClip clips;

  /** The clips of a class, by their names in it. */
  private final Map<String, List<String>> names = new HashMap<>();

  /** The calls in a method that was rewritten. */
  private final Map<String, List<JitNode>> calls = new HashMap<>();

  private final Map<String, Boolean> rectifies = new HashMap<>();
  private final Set<String> visited = new HashSet<>();

  /**
   * For a module that nobody has run yet.
   *
   * @param what it is called in messages
   */
  ClipInsertion(JitModule root, String what, ClipOptions options) {
    this.root = root;
    this.what = what;
    clips = new ScriptClip(root, options);
  }

  /** Rewrites the module. */
  void run() {
    visit(root, "forward");
    if (names.isEmpty()) {
      throw ActclipException.badInput(
          "%s has nothing to clip: its forward calls no relu, relu6, hardtanh, or clamp from 0 on",
          what);
    }
    Set<Long> done = new HashSet<>(); // by address, as a module may be there by several names
    for (JitModule module : ScriptGraphs.modules(root).values()) {
      if (done.add(module._ivalue().address())) {
        names
            .getOrDefault(className(module), List.of())
            .forEach(name -> module.register_module(name, clips.make(root)));
      }
    }
  }

  private static String className(JitModule module) {
    return module.type().annotation_str().getString();
  }

  private void visit(JitModule self, String method) {
    if (!visited.add(self._ivalue().address() + "." + method)) {
      return;
    }
    Graph graph = ScriptGraphs.graph(self, method);
    String key = className(self) + "." + method;
    if (!calls.containsKey(key)) {
      calls.put(key, rewrite(self, graph));
    }
    for (JitNode call : calls.get(key)) {
      visit(callee(self, graph, call), ScriptGraphs.name(call));
    }
  }

  /** Returns the calls of methods that are to be visited. */
  private List<JitNode> rewrite(JitModule self, Graph graph) {
    while (inlineFunction(graph)) {} // until none is left that rectifies
    List<JitNode> visits = new ArrayList<>();
    for (JitNode node : ScriptGraphs.nodes(graph)) {
      Optional<Rectifier> rectifier = Rectifier.of(node);
      if (isModuleCall(node)) {
        rectifier = Rectifier.of(node, callee(self, graph, node));
        if (rectifier.isEmpty()) {
          visits.add(node);
        }
      }
      rectifier.ifPresent(found -> addClip(self, graph, found));
    }
    graph.lint();
    return visits;
  }

  private static boolean isModuleCall(JitNode node) {
    return ScriptGraphs.kind(node).equals("prim::CallMethod")
        && node.input(0).type().get().is_module();
  }

  private JitModule callee(JitModule self, Graph graph, JitNode call) {
    return ScriptGraphs.module(self, graph, call.input(0))
        .orElseThrow(
            () ->
                ActclipException.badInput(
                    "%s calls a module that %s chooses while it runs: only modules that are"
                        + " attributes can get clips",
                    what, ScriptGraphs.simpleName(self.type())));
  }

  /**
   * A function is shared by all who call it, and has no attributes, so that it can have no clip.
   */
  private boolean inlineFunction(Graph graph) {
    for (JitNode node : ScriptGraphs.nodes(graph)) {
      if (Rectifier.of(node).isEmpty() && callsRectifier(node)) {
        GraphFunction function = ScriptGraphs.function(node).orElseThrow();
        node.removeInput(0); // the function itself
        torch.inlineCallTo(node, function, true);
        return true;
      }
    }
    return false;
  }

  private boolean callsRectifier(JitNode node) {
    return ScriptGraphs.kind(node).equals("prim::CallFunction")
        && ScriptGraphs.function(node).filter(this::rectifies).isPresent();
  }

  private boolean rectifies(GraphFunction function) {
    String name = function.qualname().qualifiedName().getString();
    Boolean known = rectifies.get(name);
    if (known == null) {
      known =
          ScriptGraphs.nodes(function.graph()).stream()
              .anyMatch(node -> Rectifier.of(node).isPresent() || callsRectifier(node));
      rectifies.put(name, known);
    }
    return known;
  }

  private void addClip(JitModule self, Graph graph, Rectifier rectifier) {
    Value y = clips.rectify() ? relu(graph, rectifier) : rectifier.node().output();
    Value clipped = clips.insertCall(graph, graph.inputs().get(0), newName(self), y);
    y.replaceAllUsesDominatedByNodeWith(clipped.node(), clipped);
    if (rectifier.inPlace()) { // Who reads the input after that reads what was rectified.
      rectifier.input().replaceAllUsesDominatedByNodeWith(clipped.node(), clipped);
      requireUnread(graph, rectifier.input(), clipped.node());
    }
  }

  /** Beyond the branch or loop that the clip is in, a value would be what was only rectified. */
  private void requireUnread(Graph graph, Value rectified, JitNode clip) {
    JitNode outer = clip.owningBlock().owningNode();
    while (outer != null) {
      JitNode probe = graph.create(Symbol.prim("Uninitialized"), 1);
      rectified.replaceAllUsesDominatedByNodeWith(outer, probe.output());
      if (probe.output().hasUses()) {
        throw ActclipException.badInput(
            "%s rectifies in place, in an if or a loop, what is read again after that, where no clip"
                + " limits it: assign what the rectifier returns, or leave inplace out",
            what);
      }
      probe.destroy();
      outer = outer.owningBlock().owningNode();
    }
  }

  /** What is rectified only: what limits above, too, would limit what the clip may learn. */
  private Value relu(Graph graph, Rectifier rectifier) {
    if (!rectifier.isRelu()) {
      throw ActclipException.badInput(
          "%s has a hardtanh whose lower limit is not 0, which no clip of form RELU can replace:"
              + " ask for TIED, which clips behind it",
          what);
    }
    Value y = rectifier.node().output();
    if (!rectifier.isBounded()) {
      return y;
    }
    Symbol kind = Symbol.aten(rectifier.inPlace() ? "relu_" : "relu");
    JitNode relu = graph.create(kind, new ValueVector(rectifier.input()), 1);
    relu.insertBefore(rectifier.node());
    y.replaceAllUsesWith(relu.output());
    rectifier.node().destroy();
    return relu.output();
  }

  /** A name that nothing else has in the class. */
  private String newName(JitModule self) {
    ClassType type = self.type();
    List<String> taken = names.computeIfAbsent(className(self), name -> new ArrayList<>());
    int number = taken.size();
    String name = NAME + number;
    while (taken.contains(name)
        || type.hasAttribute(name)
        || type.hasConstant(name)
        || type.hasMethod(name)) {
      number++;
      name = NAME + number;
    }
    taken.add(name);
    return name;
  }
}
