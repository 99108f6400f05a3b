package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * What one call of a {@link CustomFunction} hands from its forward to its backward. It belongs to
 * the call's node in the graph, and what it keeps is freed with that node.
 */
public final class FunctionContext {

  private final boolean[] needsInputGrad;
  private Tensor[] saved = {};

  FunctionContext(Tensor[] inputs) {
    boolean recording = GradMode.is_enabled();
    needsInputGrad = new boolean[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      needsInputGrad[i] = recording && inputs[i] != null && inputs[i].requires_grad();
    }
  }

  /**
   * Keeps tensors for backward, without their place in the graph. Only forward calls it, once.
   *
   * @param tensors inputs, outputs or anything else; they are not copied, so nobody may change them
   *     in place before backward
   */
  public void saveForBackward(Tensor... tensors) {
    close();
    saved = new Tensor[tensors.length];
    try (TensorScope scope = new TensorScope()) {
      for (int i = 0; i < tensors.length; i++) {
        saved[i] = scope.keep(tensors[i].detach());
      }
    }
  }

  /**
   * A tensor that forward saved; it stays the context's.
   *
   * @param index its place in {@link #saveForBackward}
   * @throws ActclipException when there is none
   */
  public Tensor saved(int index) {
    if (index < 0 || index >= saved.length) {
      throw ActclipException.badInput(
          "there is no saved tensor %d: forward saved %d", index, saved.length);
    }
    return saved[index];
  }

  /**
   * Whether the gradient by an input will be used; backward may return null for one that will not.
   *
   * @param index the input's place in {@link CustomFunction#apply}
   */
  public boolean needsInputGrad(int index) {
    return needsInputGrad[index];
  }

  boolean needsAnyGrad() {
    for (boolean needs : needsInputGrad) {
      if (needs) {
        return true;
      }
    }
    return false;
  }

  int inputs() {
    return needsInputGrad.length;
  }

  void close() {
    for (Tensor tensor : saved) {
      tensor.close();
    }
    saved = new Tensor[0];
  }
}
