package io.github.actclip.autograd;

import io.github.actclip.runtime.TensorScope;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.PointerConsumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorList;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Makes nodes that pass a number of gradients on as they are: those of {@code _foreach_frac}, the
 * cheapest such operation. Its tensors are on the device "meta", without data, where it is fastest,
 * and kept by each thread, because to make them costs more.
 */
final class Carrier {

  private static final ThreadLocal<Map<Integer, Carrier>> OF_THIS_THREAD =
      ThreadLocal.withInitial(HashMap::new);

  private static final long[] SCALAR = {};
  private static final DeviceOptional META = unscoped(() -> new DeviceOptional(new Device("meta")));
  private static final TensorOptions OPTIONS =
      unscoped(() -> new TensorOptions(torch.ScalarType.Float).device(META));
  private static final Tensor CONSTANT =
      unscoped(() -> torch.empty(SCALAR, OPTIONS, new MemoryFormatOptional()));
  private static final OperatorHandle FOREACH_FRAC =
      unscoped(() -> Dispatcher.singleton().findSchemaOrThrow("aten::_foreach_frac", ""));

  private final int last;
  private final IValue argument;
  private final TensorList tensors;
  private final IValueVector stack = unscoped(IValueVector::new);

  private Carrier(int gradients) {
    last = gradients;
    argument = unscoped(() -> argument(gradients + 1));
    tensors = unscoped(argument::toTensorList);
  }

  /** This thread's for a number of gradients. */
  static Carrier of(int gradients) {
    return OF_THIS_THREAD.get().computeIfAbsent(gradients, Carrier::new);
  }

  /**
   * A new node with an edge for each gradient and one more. The last one leads to the accumulator
   * of a token, a tensor that nothing else keeps alive; all others lead nowhere yet.
   *
   * @param release is called when the token is destroyed, which is when the node is, with {@code
   *     address}
   */
  Node make(long address, PointerConsumer release) {
    Tensor token = torch.from_blob(new Address(address), SCALAR, release, OPTIONS, META);
    tensors.set(last, token.requires_grad_(true));
    try {
      stack.resize(1);
      stack.put(0, argument);
      FOREACH_FRAC.callBoxed(stack);
      return stack.get(0).toTensorVector().get(0).grad_fn();
    } finally {
      stack.clear();
      tensors.set(last, CONSTANT);
    }
  }

  private static IValue argument(int count) {
    TensorVector constants = new TensorVector(count);
    for (int i = 0; i < count; i++) {
      constants.put(i, CONSTANT);
    }
    return new IValue(new GenericList(new TensorList(constants)));
  }

  /** Makes an object that lives as long as whoever refers to it, and frees what else it makes. */
  static <T extends Pointer> T unscoped(Supplier<T> maker) {
    try (TensorScope scope = new TensorScope()) {
      return scope.keep(maker.get());
    }
  }

  /** An address that is never read: the token has no data. */
  private static final class Address extends Pointer {
    Address(long address) {
      super((Pointer) null);
      this.address = address;
    }
  }
}
