package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;

/**
 * What one call of a {@link CustomFunction} hands from its forward to its backward. It belongs to
 * the call's node in the graph, and what it keeps is freed with that node.
 */
public final class FunctionContext {

  private final boolean[] needsInputGrad;
  private final long[][] inputShapes;
  private Tensor[] saved = {};
  private long[] versions = {};
  private boolean dirty;

  FunctionContext(Tensor[] inputs) {
    boolean recording = GradMode.is_enabled();
    needsInputGrad = new boolean[inputs.length];
    inputShapes = new long[inputs.length][];
    for (int i = 0; i < inputs.length; i++) {
      needsInputGrad[i] = recording && inputs[i].requires_grad();
      inputShapes[i] = inputs[i].shape();
    }
  }

  /**
   * Keeps tensors for backward, without their place in the graph. Only forward calls it, once.
   *
   * @param tensors inputs, the output or anything else; they are not copied, so {@link #saved}
   *     refuses one that was changed in place since. Only one that was made in LibTorch's inference
   *     mode is copied, because changes to it are not counted.
   * @throws ActclipException when one is null, undefined or closed
   */
  public void saveForBackward(Tensor... tensors) {
    for (int i = 0; i < tensors.length; i++) {
      if (!Arguments.isTensor(tensors[i])) {
        throw ActclipException.badInput("there is no tensor to save at place %d", i);
      }
    }
    if (!needsAnyGrad()) { // Backward will not be called.
      return;
    }
    close();
    saved = new Tensor[tensors.length];
    versions = new long[tensors.length];
    try (TensorScope scope = new TensorScope()) {
      for (int i = 0; i < tensors.length; i++) {
        saved[i] = scope.keep(withoutGraph(tensors[i]));
        versions[i] = saved[i]._version();
      }
    }
  }

  /**
   * With its place in the graph it could keep the node alive that keeps it here. Where it has none,
   * a second handle is enough, and cheaper.
   */
  private static Tensor withoutGraph(Tensor tensor) {
    if (tensor.is_inference()) {
      return tensor.clone();
    }
    return tensor.requires_grad() ? tensor.detach() : new Tensor(tensor);
  }

  /**
   * Saves a clip's activations, or what was made of them, and copies of its few thresholds, which
   * may change before backward: an optimizer's step is enough.
   */
  void saveClip(Tensor activations, Tensor... thresholds) {
    if (needsAnyGrad()) {
      Tensor[] all = new Tensor[1 + thresholds.length];
      all[0] = activations;
      for (int i = 0; i < thresholds.length; i++) {
        all[i + 1] = thresholds[i].clone();
      }
      saveForBackward(all);
    }
  }

  /**
   * Says that what forward is about to return is an input that it changed in place: the output
   * takes the input's place in the graph, as PyTorch's {@code mark_dirty} has it. That is to be no
   * leaf that requires a gradient, and no view, and its version is to have been raised. (It is not
   * kept here: it would keep the node alive that keeps this.)
   */
  void markDirty() {
    dirty = true;
  }

  boolean isDirty() {
    return dirty;
  }

  /**
   * A tensor that forward saved; it stays the context's.
   *
   * @param index its place in {@link #saveForBackward}
   * @throws ActclipException when there is none, or it was changed in place since it was saved
   */
  public Tensor saved(int index) {
    if (index < 0 || index >= saved.length) {
      throw ActclipException.badInput(
          "there is no saved tensor %d: forward saved %d", index, saved.length);
    }
    if (saved[index]._version() != versions[index]) {
      throw ActclipException.badInput(
          "saved tensor %d was changed in place between forward and backward: save a copy of it",
          index);
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

  long[] inputShape(int index) {
    return inputShapes[index];
  }

  void close() {
    for (Tensor tensor : saved) {
      if (tensor != null) { // Saving them may have failed half way.
        tensor.close();
      }
    }
    saved = new Tensor[0];
  }
}
