package io.github.actclip.nn.models;

import java.util.Optional;
import java.util.OptionalDouble;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.JitNode;
import org.bytedeco.pytorch.Value;

/**
 * A place in a graph where activations are rectified.
 *
 * @param node what rectifies them: an operation, or the call of a function or module
 * @param input the activations
 * @param isRelu whether it limits below at 0; else it is a {@code hardtanh} with another limit
 * @param isBounded whether it limits above, too
 * @param inPlace whether it writes into its input
 */
record Rectifier(JitNode node, Value input, boolean isRelu, boolean isBounded, boolean inPlace) {

  private static final String OPERATIONS = "aten::";
  private static final String FUNCTIONS = "__torch__.torch.nn.functional.";
  private static final String MODULES = "__torch__.torch.nn.modules.activation.";

  /** The rectifier that a node is: an operation, or the call of a function that is PyTorch's. */
  static Optional<Rectifier> of(JitNode node) {
    String kind = ScriptGraphs.kind(node);
    if (kind.startsWith(OPERATIONS)) {
      boolean inPlace = kind.endsWith("_");
      String name = kind.substring(OPERATIONS.length(), kind.length() - (inPlace ? 1 : 0));
      return of(name, node, 0, inPlace);
    }
    if (kind.equals("prim::CallFunction")) {
      String name = ScriptGraphs.name(node.input(0).type().get());
      if (name.startsWith(FUNCTIONS)) {
        Value last = node.input(node.inputs().size() - 1);
        return of(name.substring(FUNCTIONS.length()), node, 1, ScriptGraphs.isTrue(last));
      }
    }
    return Optional.empty();
  }

  /**
   * A clamp is one when its lower limit is known to be 0 and its upper one, if there is one, to be
   * a number: others clamp indices and boxes.
   *
   * @param x which input of the node the activations are
   */
  private static Optional<Rectifier> of(String name, JitNode node, long x, boolean inPlace) {
    return switch (name) {
      case "relu" -> found(node, x, true, false, inPlace);
      case "relu6" -> found(node, x, true, true, inPlace);
      case "hardtanh" -> found(node, x, isZero(number(node, x + 1)), true, inPlace);
      case "clamp_min" ->
          isZero(number(node, x + 1)) ? found(node, x, true, false, inPlace) : Optional.empty();
      case "clamp" -> {
        boolean isBounded = number(node, x + 2).isPresent();
        boolean isKnown = isBounded || ScriptGraphs.isNone(node.input(x + 2));
        yield isZero(number(node, x + 1)) && isKnown
            ? found(node, x, true, isBounded, inPlace)
            : Optional.empty();
      }
      default -> Optional.empty();
    };
  }

  /** The rectifier that the call of a module is, when the module is PyTorch's. */
  static Optional<Rectifier> of(JitNode call, JitModule module) {
    String name = ScriptGraphs.name(module.type());
    return switch (name.startsWith(MODULES) ? name.substring(MODULES.length()) : "") {
      case "ReLU" -> found(call, 1, true, false, isInPlace(module));
      case "ReLU6", "Hardtanh" -> {
        boolean isRelu = isZero(ScriptGraphs.number(module.attr("min_val")));
        yield found(call, 1, isRelu, true, isInPlace(module));
      }
      default -> Optional.empty();
    };
  }

  private static boolean isInPlace(JitModule module) {
    return module.attr("inplace").toBool();
  }

  private static Optional<Rectifier> found(
      JitNode node, long x, boolean isRelu, boolean isBounded, boolean inPlace) {
    return Optional.of(new Rectifier(node, node.input(x), isRelu, isBounded, inPlace));
  }

  private static OptionalDouble number(JitNode node, long input) {
    return ScriptGraphs.number(node.input(input));
  }

  private static boolean isZero(OptionalDouble number) {
    return number.isPresent() && number.getAsDouble() == 0;
  }
}
