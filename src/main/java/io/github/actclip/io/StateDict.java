package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.Tensor;

/**
 * The parameters and buffers of a module under the names that they have in Python, such as {@code
 * conv1.weight}.
 *
 * <p>Methods may be called from any thread, as long as no other one changes the module.
 */
public final class StateDict {

  private StateDict() {}

  /**
   * Lists the tensors of a module and of the modules in it: parameters, then buffers, in the order
   * of their registration.
   *
   * @return handles of the module's own tensors (the same value, gradient and {@code
   *     requires_grad}, no copy); the caller, or the caller's open {@link TensorScope}, owns the
   *     handles, and closing them leaves the module whole
   */
  public static Map<String, Tensor> of(Module module) {
    Map<String, Tensor> state = new LinkedHashMap<>();
    try (StringTensorDict parameters = module.named_parameters();
        StringTensorDict buffers = module.named_buffers()) {
      addHandles(state, parameters);
      addHandles(state, buffers);
    }
    return state;
  }

  /**
   * Copies values into the tensors of a module, in place, converting device and dtype.
   *
   * @param state exactly the names of {@link #of}, each with the module's shape; it stays the
   *     caller's
   * @throws ActclipException bad input that lists every missing, unexpected and wrongly shaped
   *     name, before anything is changed; a failure when LibTorch cannot copy a value
   */
  public static void load(Module module, Map<String, Tensor> state) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> own = of(module);
      checkMatch(own, state);
      own.forEach((name, tensor) -> copy(name, state.get(name), tensor));
    }
  }

  private static void copy(String name, Tensor from, Tensor to) {
    try {
      to.copy_(from);
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e,
          "Tensor %s cannot be copied into the module: %s",
          TensorInfo.quoted(name),
          ActclipException.firstLine(e));
    }
  }

  private static void addHandles(Map<String, Tensor> state, StringTensorDict named) {
    for (long i = 0; i < named.size(); i++) {
      StringTensorDictItem item = named.get(i);
      // Undefined: an optional buffer that this module does without.
      if (item.value().defined()) {
        try (var name = item.key()) {
          state.put(name.getString(StandardCharsets.UTF_8), new Tensor(item.value()));
        }
      }
    }
  }

  private static void checkMatch(Map<String, Tensor> own, Map<String, Tensor> state) {
    List<String> missing = new ArrayList<>();
    List<String> wrong = new ArrayList<>();
    own.forEach(
        (name, tensor) -> {
          Tensor value = state.get(name);
          if (value == null || !value.defined()) {
            missing.add(name);
          } else if (!Arrays.equals(value.shape(), tensor.shape())) {
            wrong.add(
                "%s of shape %s instead of %s"
                    .formatted(
                        name, Arrays.toString(value.shape()), Arrays.toString(tensor.shape())));
          }
        });
    List<String> unexpected =
        state.keySet().stream().filter(n -> !own.containsKey(n)).map(TensorInfo::quoted).toList();
    List<String> problems = new ArrayList<>();
    addProblem(problems, "missing", missing);
    addProblem(problems, "unexpected", unexpected);
    addProblem(problems, "wrong", wrong);
    if (!problems.isEmpty()) {
      throw ActclipException.badInput(
          "The state does not fit the module: %s", String.join("; ", problems));
    }
  }

  private static void addProblem(List<String> problems, String kind, List<String> names) {
    if (!names.isEmpty()) {
      problems.add(kind + ": " + String.join(", ", names));
    }
  }
}
