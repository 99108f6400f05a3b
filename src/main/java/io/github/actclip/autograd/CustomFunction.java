package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Tensor;

/**
 * A differentiable function of tensors whose forward and backward are written in Java, like {@code
 * torch.autograd.Function} in Python and in C++.
 *
 * <pre>{@code
 * final class Square extends CustomFunction {
 *   protected Tensor forward(FunctionContext context, Tensor... inputs) {
 *     context.saveForBackward(inputs[0]);
 *     return inputs[0].mul(inputs[0]);
 *   }
 *
 *   protected Tensor[] backward(FunctionContext context, Tensor gradOutput) {
 *     return new Tensor[] {context.saved(0).mul(gradOutput).mul(new Scalar(2))};
 *   }
 * }
 *
 * Tensor y = new Square().apply(x);
 * }</pre>
 *
 * <p>An instance keeps nothing between calls of its own, so it may be used by many threads, and in
 * many graphs at once. What a call saves lives exactly as long as its node in the graph.
 *
 * <p>Backward may run more than once ({@code retain_graph}), on any thread. It is not recorded
 * itself: a second derivative ({@code create_graph}) is refused with an {@link ActclipException}.
 * What backward throws arrives as it is from {@link Autograd}, and as a {@link RuntimeException}
 * with its text from LibTorch's own {@code backward()} and {@code grad()}.
 */
public abstract class CustomFunction {

  /**
   * Computes the output. Gradients are not recorded meanwhile, and what is made here besides the
   * output is freed.
   *
   * @param context keeps what backward needs
   * @param inputs as given to {@link #apply}
   * @return the output, of any shape. Where it is an input, its memory has two owners, and autograd
   *     does not see that: what changes it in place changes both.
   */
  protected abstract Tensor forward(FunctionContext context, Tensor... inputs);

  /**
   * Computes the gradients of the loss by the inputs. What is made here besides them is freed.
   *
   * @param context what forward saved
   * @param gradOutput the gradient of the loss by the output, of the output's shape
   * @return one for each input, of its shape; LibTorch casts one of another dtype to the input's.
   *     Null for one that needs none.
   */
  protected abstract Tensor[] backward(FunctionContext context, Tensor gradOutput);

  /**
   * Applies the function.
   *
   * @param inputs of any shapes, dtypes and strides; those that are not floating point cannot need
   *     a gradient
   * @return the output; the caller's scope owns it. It requires a gradient when one of the inputs
   *     does and gradients are being recorded.
   * @throws ActclipException when an input is null or undefined, or {@link #forward} returns no
   *     tensor
   */
  public final Tensor apply(Tensor... inputs) {
    LibTorch.load();
    if (inputs == null) {
      throw ActclipException.badInput("the inputs of %s: null was given", getClass().getName());
    }
    for (int i = 0; i < inputs.length; i++) {
      if (!Arguments.isTensor(inputs[i])) {
        throw ActclipException.badInput(
            "input %d of %s is %s: it must be a tensor",
            i, getClass().getName(), inputs[i] == null ? "null" : "undefined or closed");
      }
    }
    FunctionContext context = new FunctionContext(inputs);
    try {
      Tensor output = forwardWithoutGrad(context, inputs);
      if (context.needsAnyGrad()) {
        BackwardNode.attach(this, context, inputs, output);
      } else {
        context.close();
      }
      return output;
    } catch (RuntimeException | Error e) {
      context.close();
      throw e;
    }
  }

  private Tensor forwardWithoutGrad(FunctionContext context, Tensor[] inputs) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor made = forward(context, inputs);
      if (!Arguments.isTensor(made)) {
        throw ActclipException.badInput(
            "%s.forward returned no tensor: it must return its output", getClass().getName());
      }
      // A handle of its own: an input that is returned as it is keeps its own place in the graph,
      // unless that is what it is to lose.
      return scope.pass(context.isDirty() ? new Tensor(made) : made.detach());
    }
  }
}
