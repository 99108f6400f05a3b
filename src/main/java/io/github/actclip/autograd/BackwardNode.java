package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Edge;
import org.bytedeco.pytorch.FunctionPreHook;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.PointerConsumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The node of a {@link CustomFunction} in LibTorch's graph.
 *
 * <p>The presets do not bind {@code torch::autograd::Function}, and {@code Node} cannot be extended
 * in Java. But a node of LibTorch's own can carry a function of ours:
 *
 * <ol>
 *   <li>A {@link Carrier} makes a node whose backward returns the n gradients that it is given as
 *       they are.
 *   <li>Its edges are set to those of our inputs, and it becomes the output's gradient function.
 *   <li>A pre-hook turns the one gradient of the output into the n gradients of the inputs, which
 *       the node passes on. This object is that hook.
 * </ol>
 *
 * <p>The node refers to its hook weakly, so something in Java must hold it, for exactly as long as
 * the node lives. One more edge leads to the gradient accumulator of a token, a tensor that nothing
 * else refers to: when the node is destroyed, so is the token, and its deleter lets go of the hook
 * and of what the context saved. No gradient ever flows along that edge.
 */
final class BackwardNode extends FunctionPreHook {

  /** The hooks of all living nodes, by the address of their token. */
  private static final Map<Long, BackwardNode> ALIVE = new ConcurrentHashMap<>();

  private static final AtomicLong ADDRESSES = new AtomicLong(1);

  private final CustomFunction function;
  private final FunctionContext context;
  private final WeakReferenceOfPeer reference;

  private BackwardNode(CustomFunction function, FunctionContext context) {
    this.function = function;
    this.context = context;
    reference = WeakReferenceOfPeer.of(this);
  }

  /** Makes {@code output} the result of {@code function} in the graph. */
  static void attach(
      CustomFunction function, FunctionContext context, Tensor[] inputs, Tensor output) {
    long address = ADDRESSES.getAndIncrement();
    try (TensorScope scope = new TensorScope()) {
      Carrier carrier = Carrier.of(inputs.length);
      BackwardNode hook = scope.keep(new BackwardNode(function, context));
      ALIVE.put(address, hook);
      Node node = carrier.make(address, Release.INSTANCE);
      for (int i = 0; i < inputs.length; i++) {
        if (context.needsInputGrad(i)) {
          node.set_next_edge(i, edge(inputs[i]));
        }
      }
      node.clear_input_metadata();
      node.add_pre_hook(hook);
      torch.create_gradient_edge(output, node);
    }
  }

  /** How many nodes are alive. */
  static int alive() {
    return ALIVE.size();
  }

  @Override
  public TensorVector apply(TensorVector gradients) {
    try {
      TensorScope.run(() -> turn(gradients));
      return gradients;
    } catch (RuntimeException | Error e) {
      Thrown.offer(e);
      throw e;
    }
  }

  /**
   * The vector is LibTorch's own, which it is about to replace with the one that it gets back. No
   * other reference to the gradients is left then, so a leaf takes its gradient without a copy.
   */
  private void turn(TensorVector gradients) {
    if (GradMode.is_enabled()) {
      throw ActclipException.badInput(
          "%s has no second derivative: do not call it with create_graph%s",
          name(),
          function instanceof ClipFunction ? ", or use ClipOp's clips, which have one" : "");
    }
    Tensor gradOutput = new Tensor(gradients.get(0));
    gradients.clear();
    gradients.resize(context.inputs() + 1L);
    if (gradOutput.defined()) { // Else nothing that the loss was computed from is ours.
      put(function.backward(context, gradOutput), gradients);
    }
  }

  private void put(Tensor[] result, TensorVector gradients) {
    if (result == null || result.length != context.inputs()) {
      throw ActclipException.badInput(
          "%s.backward returned %s gradients: it must return one for each of its %d inputs",
          name(), result == null ? "no" : String.valueOf(result.length), context.inputs());
    }
    for (int i = 0; i < result.length; i++) {
      if (result[i] != null) {
        requireOpen(i, result[i]);
      }
      if (context.needsInputGrad(i) && result[i] != null && result[i].defined()) {
        requireShape(i, result[i].shape());
        gradients.put(i, result[i]);
      }
    }
  }

  private void requireOpen(int input, Tensor gradient) {
    if (gradient.isNull()) {
      throw ActclipException.badInput(
          "%s.backward returned a closed gradient for input %d: keep it, or return null for none",
          name(), input);
    }
  }

  private void requireShape(int input, long[] shape) {
    if (!Arrays.equals(shape, context.inputShape(input))) {
      throw ActclipException.badInput(
          "%s.backward returned a gradient of shape %s for input %d: it must be of the input's"
              + " shape, %s",
          name(), Arrays.toString(shape), input, Arrays.toString(context.inputShape(input)));
    }
  }

  private String name() {
    return function.getClass().getName();
  }

  private static Edge edge(Tensor input) {
    return input.is_leaf()
        // The presets bind no way to a leaf's accumulator but through a view of it.
        ? input.alias().grad_fn().next_edge(0)
        : new Edge(input.grad_fn(), Math.toIntExact(input.output_nr()));
  }

  /** The deleter of tokens. */
  private static final class Release extends PointerConsumer {

    static final Release INSTANCE = Carrier.unscoped(Release::new);

    @Override
    public void call(Pointer token) {
      BackwardNode hook = ALIVE.remove(token.address());
      if (hook != null) {
        hook.context.close();
        hook.close();
        hook.reference.delete();
      }
    }
  }
}
