package io.github.actclip.nn.models;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.JitNode;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A module of TorchScript that runs in the modes of other modules, its twins, and shares their
 * tensors.
 *
 * <p>It runs without TorchScript's optimizer, which takes the time of some ten passes for its
 * plans, and from the second pass on has a formula of its own for the gradient of a ReLU, which
 * forgets that of NaN.
 */
final class Script {

  /** How TorchScript says what went wrong, after the code that it was running. */
  private static final Pattern ERROR =
      Pattern.compile("^(?:\\w+\\.)*\\w*(?:Error|Exception): (.*)$", Pattern.MULTILINE);

  /**
   * A module and its twin.
   *
   * @param assigned the twin's buffers in whose place the module puts new ones as it runs, where
   *     others write into them, by their names
   */
  private record Part(JitModule script, Module twin, Map<String, Tensor> assigned) {

    static Part of(JitModule script, Module twin) {
      script.retainReference(); // or the scope that it was made in would close it
      Map<String, Tensor> assigned = new HashMap<>();
      try (TensorScope scope = new TensorScope()) {
        StringTensorDict buffers = twin.named_buffers(false);
        for (JitNode node : ScriptGraphs.nodes(script)) {
          String name =
              ScriptGraphs.kind(node).equals("prim::SetAttr") ? ScriptGraphs.name(node) : "";
          if (buffers.contains(name)) {
            assigned.put(name, scope.keep(new Tensor(buffers.get(name))));
          }
        }
      }
      return new Part(script, twin, assigned);
    }

    void matchMode() {
      boolean trains = twin.is_training();
      if (script.is_training() != trains && script.hasattr(ScriptModule.TRAINING)) {
        script.setattr(ScriptModule.TRAINING, new IValue(trains));
      }
    }

    void takeAssigned() {
      assigned.forEach(
          (name, buffer) -> {
            Tensor assigned = script.attr(name).toTensor();
            if (!assigned.is_same(buffer)) {
              buffer.set_data(assigned.detach());
              script.setattr(name, new IValue(buffer));
            }
          });
    }
  }

  private final JitModule root;
  private final List<Part> parts = new ArrayList<>();

  /**
   * Keeps the module from here on.
   *
   * @param twins by their paths, one for each module
   */
  Script(JitModule root, Map<String, Module> twins) {
    this.root = root;
    root.retainReference();
    TensorScope.run(
        () ->
            ScriptGraphs.modules(root)
                .forEach((path, script) -> parts.add(Part.of(script, twins.get(path)))));
  }

  /** The module, in the modes of its twins. */
  JitModule module() {
    matchModes();
    return root;
  }

  /**
   * Computes the output; the caller's scope owns it.
   *
   * @throws ActclipException a failure, with TorchScript's reason
   */
  Tensor run(Tensor x) {
    matchModes();
    boolean optimizes = torch.getGraphExecutorOptimize(); // of this thread
    torch.setGraphExecutorOptimize(false);
    try (TensorScope scope = new TensorScope()) {
      Tensor y = new Tensor(root.forward(new IValueVector(new IValue(x))).toTensor());
      parts.forEach(Part::takeAssigned);
      return scope.pass(y);
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e, "the network fails on data of shape %s: %s", Arrays.toString(x.shape()), reason(e));
    } finally {
      torch.setGraphExecutorOptimize(optimizes);
    }
  }

  private static String reason(RuntimeException e) {
    return ERROR
        .matcher(String.valueOf(e.getMessage()))
        .results()
        .map(result -> result.group(1))
        .findFirst()
        .orElseGet(() -> ActclipException.firstLine(e));
  }

  /** Others may run the module at the same time, but nobody then changes the mode. */
  private synchronized void matchModes() {
    TensorScope.run(() -> parts.forEach(Part::matchMode));
  }
}
