package io.github.actclip.nn.models;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Block;
import org.bytedeco.pytorch.ClassType;
import org.bytedeco.pytorch.Function;
import org.bytedeco.pytorch.FunctionType;
import org.bytedeco.pytorch.FunctionVector;
import org.bytedeco.pytorch.Graph;
import org.bytedeco.pytorch.GraphFunction;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueOptional;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.JitNode;
import org.bytedeco.pytorch.Symbol;
import org.bytedeco.pytorch.Type;
import org.bytedeco.pytorch.Value;
import org.bytedeco.pytorch.global.torch;

/**
 * Reads modules of TorchScript and their graphs. What it returns belongs to the caller's scope, and
 * nodes and values end with their graph.
 */
final class ScriptGraphs {

  private static final Pattern MANGLED = Pattern.compile("___torch_mangle_\\d+\\.");
  private static final Pattern NAME = Pattern.compile("\\[.*?name=\"([^\"]*)\"");

  private ScriptGraphs() {}

  /** The nodes of a graph in order, those of ifs and loops behind the node that has them. */
  static List<JitNode> nodes(Graph graph) {
    List<JitNode> nodes = new ArrayList<>();
    addNodes(graph.block(), nodes);
    return nodes;
  }

  private static void addNodes(Block block, List<JitNode> nodes) {
    JitNode end = block.return_node();
    JitNode node = new JitNode(block.nodes().begin().multiply());
    while (!node.equals(end)) {
      nodes.add(node);
      for (long i = 0; i < node.blocks().size(); i++) {
        addNodes(node.blocks().get(i), nodes);
      }
      node = node.next();
    }
  }

  /** The nodes of all methods of a module. */
  static List<JitNode> nodes(JitModule module) {
    List<JitNode> nodes = new ArrayList<>();
    FunctionVector methods = module.type().methods();
    for (long i = 0; i < methods.size(); i++) {
      graph(methods.get(i)).ifPresent(graph -> nodes.addAll(nodes(graph)));
    }
    return nodes;
  }

  /** What a node does, such as {@code aten::relu}. */
  static String kind(JitNode node) {
    return node.kind().toQualString().getString();
  }

  /**
   * The name that a node has as its attribute: of the attribute that it gets or sets, of the method
   * that it calls. {@code JitNode.s}, which is there for that, gives freed memory; the text of a
   * graph has it.
   */
  static String name(JitNode node) {
    Graph graph = new Graph();
    JitNode copy = graph.create(Symbol.prim("Constant"), 0);
    copy.copyAttributes(node);
    graph.appendNode(copy);
    Matcher matcher = NAME.matcher(graph.toString());
    return matcher.find() ? matcher.group(1) : "";
  }

  /** The name of a class or function as in Python, without what tells it from its namesakes. */
  static String name(Type type) {
    return MANGLED.matcher(type.annotation_str().getString()).replaceAll("");
  }

  /** The last part of that. */
  static String simpleName(Type type) {
    String name = name(type);
    return name.substring(name.lastIndexOf('.') + 1);
  }

  /** The graph of a method, as it was compiled. */
  static Graph graph(JitModule module, String method) {
    return module.get_method(method).graph();
  }

  /** The function that a {@code prim::CallFunction} calls, if TorchScript has compiled it. */
  static Optional<GraphFunction> function(JitNode call) {
    return graphFunction(new FunctionType(call.input(0).type().get()).function());
  }

  private static Optional<Graph> graph(Function function) {
    return graphFunction(function).map(GraphFunction::graph);
  }

  private static Optional<GraphFunction> graphFunction(Function function) {
    return Optional.ofNullable(torch.tryToGraphFunction(function));
  }

  /** The number that a value always is, if it is one. */
  static OptionalDouble number(Value value) {
    IValueOptional constant = torch.toIValue(value);
    return constant.has_value() ? number(constant.get()) : OptionalDouble.empty();
  }

  static OptionalDouble number(IValue value) {
    if (value.isDouble()) {
      return OptionalDouble.of(value.toDouble());
    }
    return value.isInt() ? OptionalDouble.of(value.toInt()) : OptionalDouble.empty();
  }

  /** Whether a value is always true. */
  static boolean isTrue(Value value) {
    IValueOptional constant = torch.toIValue(value);
    return constant.has_value() && constant.get().isBool() && constant.get().toBool();
  }

  /** Whether a value is always None. */
  static boolean isNone(Value value) {
    IValueOptional constant = torch.toIValue(value);
    return constant.has_value() && constant.get().isNone();
  }

  /** The attributes of a module, in order; not its constants. */
  static Map<String, IValue> attributes(JitModule module) {
    ClassType type = module.type();
    Map<String, IValue> attributes = new LinkedHashMap<>();
    for (long i = 0; i < type.numAttributes(); i++) {
      String name = type.getAttributeName(i).getString();
      attributes.put(name, module.attr(name));
    }
    return attributes;
  }

  /** A module and all below it, by their paths; its own is empty. */
  static Map<String, JitModule> modules(JitModule root) {
    Map<String, JitModule> modules = new LinkedHashMap<>();
    addModules("", root, modules);
    return modules;
  }

  private static void addModules(String path, JitModule module, Map<String, JitModule> modules) {
    modules.put(path, module);
    attributes(module)
        .forEach(
            (name, value) -> {
              if (value.isModule()) {
                addModules(join(path, name), new JitModule(value.toObject()), modules);
              }
            });
  }

  /** The path of what has this name in the module of that path. */
  static String join(String path, String name) {
    return path.isEmpty() ? name : path + "." + name;
  }

  /**
   * The module that a value of a method's graph is: the one that has the method, or one in it.
   *
   * @return none where it is chosen while the method runs
   */
  static Optional<JitModule> module(JitModule self, Graph graph, Value value) {
    if (value.unique() == graph.inputs().get(0).unique()) {
      return Optional.of(self);
    }
    JitNode node = value.node();
    if (!kind(node).equals("prim::GetAttr")) {
      return Optional.empty();
    }
    return module(self, graph, node.input(0))
        .map(owner -> owner.attr(name(node)))
        .filter(IValue::isModule)
        .map(attribute -> new JitModule(attribute.toObject()));
  }
}
