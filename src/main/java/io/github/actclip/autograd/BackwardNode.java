package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.Edge;
import org.bytedeco.pytorch.EdgeVector;
import org.bytedeco.pytorch.FunctionPreHook;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.PointerConsumer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorList;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The node of a {@link CustomFunction} in LibTorch's graph.
 *
 * <p>The presets do not bind {@code torch::autograd::Function}, and {@code Node} cannot be extended
 * in Java. But a node of LibTorch's own can carry a function of ours:
 *
 * <ol>
 *   <li>{@code _foreach_add} of n empty tensors makes a node with n outputs whose backward returns
 *       the n gradients that it is given as they are.
 *   <li>Its edges are replaced by those of our inputs, and it becomes the output's gradient
 *       function.
 *   <li>A pre-hook turns the one gradient of the output into the n gradients of the inputs, which
 *       the node passes on. This object is that hook.
 * </ol>
 *
 * <p>The node refers to its hook weakly, so something in Java must hold it, for exactly as long as
 * the node lives. One more edge leads to the gradient accumulator of a token, an empty tensor that
 * nothing else refers to: when the node is destroyed, so is the token, and its deleter lets go of
 * the hook and of what the context saved. No gradient ever flows along that edge.
 */
final class BackwardNode extends FunctionPreHook {

  /** The hooks of all living nodes, by the address of their token. */
  private static final Map<Long, BackwardNode> ALIVE = new ConcurrentHashMap<>();

  private static final AtomicLong ADDRESSES = new AtomicLong(1);
  private static final ThreadLocal<TensorVector> LAST_PASSED = new ThreadLocal<>();

  private final CustomFunction function;
  private final FunctionContext context;

  private BackwardNode(CustomFunction function, FunctionContext context) {
    this.function = function;
    this.context = context;
  }

  /** Makes {@code output} the result of {@code function} in the graph. */
  static void attach(
      CustomFunction function, FunctionContext context, Tensor[] inputs, Tensor output) {
    long address = ADDRESSES.getAndIncrement();
    try (TensorScope scope = new TensorScope()) {
      BackwardNode hook = scope.keep(new BackwardNode(function, context));
      EdgeVector edges = new EdgeVector(inputs.length + 1L);
      for (int i = 0; i < inputs.length; i++) {
        if (context.needsInputGrad(i)) {
          edges.put(i, edge(inputs[i]));
        }
      }
      ALIVE.put(address, hook);
      edges.put(inputs.length, accumulator(token(address)));
      Node node = Carriers.make(inputs.length + 1);
      node.clear_input_metadata();
      node.set_next_edges(edges);
      node.add_pre_hook(hook);
      torch.create_gradient_edge(output, node);
    }
  }

  /** How many nodes are alive. */
  static int alive() {
    return ALIVE.size();
  }

  @Override
  public TensorVector apply(TensorVector gradOutputs) {
    if (GradMode.is_enabled()) {
      throw ActclipException.badInput(
          "%s has no second derivative: do not call it with create_graph",
          function.getClass().getName());
    }
    try (TensorScope scope = new TensorScope()) {
      Tensor[] result = function.backward(context, gradOutputs.get(0));
      if (result == null || result.length != context.inputs()) {
        throw ActclipException.badInput(
            "%s.backward returned %s gradients: it must return one for each of its %d inputs",
            function.getClass().getName(),
            result == null ? "no" : String.valueOf(result.length),
            context.inputs());
      }
      return pass(scope, result);
    }
  }

  /** LibTorch copies the vector after this returns, so it is closed when the next one is made. */
  private TensorVector pass(TensorScope scope, Tensor[] result) {
    TensorVector passed = new TensorVector(result.length + 1L);
    for (int i = 0; i < result.length; i++) {
      if (result[i] != null && context.needsInputGrad(i)) {
        passed.put(i, result[i]);
      }
    }
    TensorVector last = LAST_PASSED.get();
    if (last != null) {
      last.close();
    }
    LAST_PASSED.set(scope.keep(passed));
    return passed;
  }

  private static Edge edge(Tensor input) {
    return input.is_leaf()
        ? accumulator(input)
        : new Edge(input.grad_fn(), Math.toIntExact(input.output_nr()));
  }

  /** The presets bind no way to a leaf's accumulator but through a view of it. */
  private static Edge accumulator(Tensor leaf) {
    return leaf.alias().grad_fn().next_edge(0);
  }

  private static Tensor token(long address) {
    return torch
        .from_blob(new Address(address), Carriers.NO_ELEMENTS, Release.INSTANCE, Carriers.OPTIONS)
        .requires_grad_(true);
  }

  /** Makes an object that lives as long as this class, and frees what is made on the way. */
  private static <T extends Pointer> T unscoped(Supplier<T> maker) {
    try (TensorScope scope = new TensorScope()) {
      return scope.keep(maker.get());
    }
  }

  /** An address that is never read: the token has no elements. */
  private static final class Address extends Pointer {
    Address(long address) {
      super((Pointer) null);
      this.address = address;
    }
  }

  /** The deleter of tokens. */
  private static final class Release extends PointerConsumer {

    static final Release INSTANCE = unscoped(Release::new);

    @Override
    public void call(Pointer token) {
      BackwardNode hook = ALIVE.remove(token.address());
      if (hook != null) {
        hook.context.close();
        hook.close();
      }
    }
  }

  /** Makes nodes that pass on any number of gradients. */
  private static final class Carriers {

    static final long[] NO_ELEMENTS = {0};
    static final TensorOptions OPTIONS = unscoped(() -> new TensorOptions(torch.ScalarType.Float));

    private static final OperatorHandle FOREACH_ADD =
        unscoped(() -> Dispatcher.singleton().findSchemaOrThrow("aten::_foreach_add", "Scalar"));
    private static final IValue ZERO = unscoped(() -> new IValue(new Scalar(0)));
    private static final Map<Integer, IValue> INPUTS = new ConcurrentHashMap<>();

    static Node make(int outputs) {
      IValueVector stack = new IValueVector();
      stack.push_back(INPUTS.computeIfAbsent(outputs, n -> unscoped(() -> inputs(n))));
      stack.push_back(ZERO);
      FOREACH_ADD.callBoxed(stack);
      return stack.get(0).toTensorVector().get(0).grad_fn();
    }

    private static IValue inputs(int count) {
      TensorVector empty = new TensorVector(count);
      Tensor one = torch.zeros(NO_ELEMENTS).requires_grad_(true);
      for (int i = 0; i < count; i++) {
        empty.put(i, one);
      }
      return new IValue(new GenericList(new TensorList(empty)));
    }
  }
}
