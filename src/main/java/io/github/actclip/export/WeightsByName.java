package io.github.actclip.export;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** What a network's tensors are called. */
final class WeightsByName {

  private static final String UNKNOWN = "weight";

  private final Map<Long, String> names = new HashMap<>();

  WeightsByName(Network network) {
    StateDict.of(network).forEach((name, tensor) -> names.putIfAbsent(address(tensor), name));
  }

  /** The name in the state dict. */
  String of(Tensor tensor) {
    return names.getOrDefault(address(tensor), UNKNOWN);
  }

  private static long address(Tensor tensor) {
    return tensor.unsafeGetTensorImpl().address();
  }
}
