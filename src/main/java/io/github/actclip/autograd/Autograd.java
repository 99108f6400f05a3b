package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * LibTorch's backward and grad with exceptions as Java knows them. What {@link
 * CustomFunction#backward} throws arrives here as the very object that was thrown, where LibTorch's
 * own methods throw a {@link RuntimeException} with its text; and what LibTorch refuses is an
 * {@link ActclipException} with the first line of its message, without the C++ stack trace.
 */
public final class Autograd {

  private Autograd() {}

  /**
   * Adds the gradients of a loss to those of the leaves that it was computed from.
   *
   * @param loss one element
   * @throws ActclipException bad input when there is none; a failure when LibTorch refuses it
   */
  public static void backward(Tensor loss) {
    Arguments.requireTensor("the loss", loss);
    unwrapping(
        () -> {
          loss.backward();
          return loss;
        });
  }

  /**
   * The gradients of a loss by some tensors, without touching those of the leaves.
   *
   * @param loss one element
   * @param inputs what it was computed from
   * @return one for each input; the caller's scope owns them
   * @throws ActclipException bad input when one of them is no tensor; a failure when LibTorch
   *     refuses them
   */
  public static Tensor[] grad(Tensor loss, Tensor... inputs) {
    Arguments.requireTensor("the loss", loss);
    requireInputs(inputs);
    return unwrapping(
        () -> {
          TensorVector gradients = torch.grad(new TensorVector(loss), new TensorVector(inputs));
          Tensor[] result = new Tensor[inputs.length];
          for (int i = 0; i < inputs.length; i++) {
            result[i] = new Tensor(gradients.get(i)); // The vector's own ends with the vector.
          }
          return result;
        });
  }

  /** Checks that each is a tensor. */
  static void requireInputs(Tensor... inputs) {
    if (inputs == null) {
      throw ActclipException.badInput("the inputs: null was given");
    }
    for (int i = 0; i < inputs.length; i++) {
      Arguments.requireTensor("input " + i, inputs[i]);
    }
  }

  /** Runs what calls backward functions. */
  static <T> T unwrapping(Supplier<T> work) {
    LibTorch.load();
    try (Thrown thrown = new Thrown()) {
      try {
        return work.get();
      } catch (RuntimeException e) {
        thrown.rethrow(e);
        throw ActclipException.failure(e, ActclipException.firstLine(e));
      }
    }
  }
}
