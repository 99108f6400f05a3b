package io.github.actclip.nn.models;

import io.github.actclip.runtime.ActclipException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Graph;
import org.bytedeco.pytorch.HashAliasedIValues;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.ValueArrayRef;
import org.bytedeco.pytorch.global.torch.Layout;

/** Refuses modules of TorchScript that cannot be trained, or are no network of one tensor. */
final class ScriptChecks {

  private static final String TENSOR = "Tensor";
  private static final String MODULES = "__torch__.torch.nn.modules.";

  /** PyTorch's modules whose sizes and options scripting makes constants of their class. */
  private static final Set<String> WITH_CONSTANTS =
      Set.of(
          "conv.Conv1d",
          "conv.Conv2d",
          "conv.Conv3d",
          "linear.Linear",
          "batchnorm.BatchNorm1d",
          "batchnorm.BatchNorm2d",
          "batchnorm.BatchNorm3d",
          "activation.ReLU",
          "activation.ReLU6",
          "activation.Hardtanh");

  private ScriptChecks() {}

  /**
   * Checks a module.
   *
   * @param what it is called in messages
   */
  static void require(JitModule root, String what) {
    if (!root.hasattr(ScriptModule.TRAINING)) {
      throw ActclipException.badInput(
          "%s was frozen, so that there is nothing to train: save it in Python before"
              + " torch.jit.freeze",
          what);
    }
    if (ScriptGraphs.modules(root).values().stream().anyMatch(ScriptChecks::isTraced)) {
      throw ActclipException.badInput(
          "%s was traced, which fixes what training would change (batch normalisation, dropout, the"
              + " batch size): save it in Python by torch.jit.script(model)",
          what);
    }
    if (!root.type().hasMethod("forward")) {
      throw ActclipException.badInput("%s has no method forward", what);
    }
    requireTensors(ScriptGraphs.graph(root, "forward"), what);
    ScriptGraphs.modules(root)
        .forEach(
            (path, module) ->
                ScriptGraphs.attributes(module)
                    .forEach(
                        (name, value) ->
                            requireMemory(value, what, ScriptGraphs.join(path, name))));
  }

  private static void requireMemory(IValue value, String what, String name) {
    if (!tensors(value).stream().allMatch(ScriptChecks::hasMemory)) {
      throw ActclipException.badInput(
          "%s is damaged: the tensor %s is larger than its memory", what, name);
    }
  }

  /** What an attribute is, or has in its lists, tuples and dicts. */
  private static List<Tensor> tensors(IValue value) {
    HashAliasedIValues all = new HashAliasedIValues();
    if (!value.isModule()) { // whose attributes are looked at by themselves
      value.getSubValues(all);
    }
    List<Tensor> tensors = new ArrayList<>();
    HashAliasedIValues.Iterator at = all.begin();
    for (long i = 0; i < all.size(); i++, at.increment()) {
      if (at.get().isTensor()) {
        tensors.add(at.get().toTensor());
      }
    }
    return tensors;
  }

  /** LibTorch believes what a file says of a tensor's shape and strides. */
  private static boolean hasMemory(Tensor tensor) {
    if (!tensor.defined() || tensor.layout().intern() != Layout.Strided) {
      return true;
    }
    double last = tensor.storage_offset(); // no number that overflows
    for (long i = 0; i < tensor.dim(); i++) {
      if (tensor.size(i) < 0 || tensor.stride(i) < 0) {
        return false;
      }
      last += (tensor.size(i) - 1.0) * tensor.stride(i);
    }
    boolean isEmpty = tensor.numel() == 0;
    return isEmpty
        || (last >= 0 && (last + 1) * tensor.element_size() <= tensor.storage().nbytes());
  }

  /** Tracing leaves no constants in a class, and convolutions by another name. */
  private static boolean isTraced(JitModule module) {
    String name = ScriptGraphs.name(module.type());
    boolean lacksConstants =
        name.startsWith(MODULES)
            && WITH_CONSTANTS.contains(name.substring(MODULES.length()))
            && module.type().numConstants() == 0;
    return lacksConstants
        || ScriptGraphs.nodes(module).stream()
            .anyMatch(node -> ScriptGraphs.kind(node).equals("aten::_convolution"));
  }

  private static void requireTensors(Graph forward, String what) {
    List<String> inputs = types(forward.inputs());
    List<String> outputs = types(forward.outputs());
    long tensors = inputs.stream().filter(TENSOR::equals).count();
    if (tensors != 1 || !inputs.get(1).equals(TENSOR) || !outputs.equals(List.of(TENSOR))) {
      throw ActclipException.badInput(
          "%s makes %s of %s: a network makes one Tensor of one, so script a module that calls this"
              + " one and does so",
          what, outputs, inputs.subList(1, inputs.size()));
    }
  }

  private static List<String> types(ValueArrayRef values) {
    return IntStream.range(0, Math.toIntExact(values.size()))
        .mapToObj(i -> ScriptGraphs.name(values.get(i).type().get()).replace("__torch__.", ""))
        .toList();
  }
}
