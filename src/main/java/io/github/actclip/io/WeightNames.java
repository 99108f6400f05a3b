package io.github.actclip.io;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;

/** In what the names of trained weights differ from those of the network that they are for. */
final class WeightNames {

  /** What {@code DistributedDataParallel} and {@code DataParallel} put before every name. */
  private static final String MODULE = "module.";

  /** A count that PyTorch keeps since 0.4.1, and that its default never reads. */
  private static final String COUNT = "num_batches_tracked";

  private WeightNames() {}

  /** The state itself, or, where {@code module.} stands before all of its names, without that. */
  static Map<String, Tensor> asIn(Map<String, Tensor> own, Map<String, Tensor> state) {
    if (!hasModule(own, state)) {
      return state;
    }
    Map<String, Tensor> named = new LinkedHashMap<>();
    state.forEach((name, value) -> named.put(name.substring(MODULE.length()), value));
    return named;
  }

  static boolean mayBeMissing(String name) {
    return name.equals(COUNT) || name.endsWith("." + COUNT);
  }

  /** What to do about names that do not fit, where that is known; else nothing. */
  static String hint(Map<String, Tensor> own, Map<String, Tensor> state) {
    return hasModule(own, state)
        ? "; all names begin with module., as of DistributedDataParallel, which"
            + " StateDict.loadWeights takes"
        : "";
  }

  private static boolean hasModule(Map<String, Tensor> own, Map<String, Tensor> state) {
    return allBegin(state.keySet()) && !allBegin(own.keySet());
  }

  private static boolean allBegin(Set<String> names) {
    return !names.isEmpty() && names.stream().allMatch(name -> name.startsWith(MODULE));
  }
}
