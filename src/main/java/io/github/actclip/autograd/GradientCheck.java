package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.nio.DoubleBuffer;
import java.util.Arrays;
import java.util.function.Function;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Compares the gradient that autograd computes with central differences in float64, element by
 * element.
 *
 * <p>The step starts at 1e-6 and becomes smaller, down to 1e-9, while the slopes to the left and to
 * the right differ: a kink, such as a clip's, lies between them then. Where they differ even at the
 * smallest step, the point is on the kink, and there is nothing to compare with.
 */
public final class GradientCheck {

  private static final double FIRST_STEP = 1e-6;
  private static final double LAST_STEP = 1e-9;

  /** Between slopes, relative to the larger one or 1. Rounding is 1e-7 at the smallest step. */
  private static final double TOLERANCE = 1e-5;

  private final Function<Tensor[], Tensor> function;
  private final Tensor[] inputs;
  private final Tensor weights;

  /** The loss at the point itself. */
  private final double here;

  private GradientCheck(Function<Tensor[], Tensor> function, Tensor[] inputs) {
    this.function = function;
    this.inputs = inputs;
    Tensor output = function.apply(inputs);
    // Every element of the output counts, and no two of them alike.
    Tensor numbers = torch.arange(new Scalar(output.numel()));
    weights = numbers.to(ScalarType.Double).cos().view(output.shape());
    here = output.mul(weights).sum().item_double();
    if (!Double.isFinite(here)) {
      throw ActclipException.failure(
          null, "the function gives NaN or infinity, which has no differences");
    }
  }

  /**
   * Checks all gradients of a function.
   *
   * @param function takes float64 tensors of the inputs' shapes to one float64 tensor of any shape,
   *     the same every time
   * @param inputs float64; those that require a gradient are checked. They are not changed.
   * @throws ActclipException a failure that names the input and the element, and says what autograd
   *     and the differences give, or that the element is on a kink; bad input when an input that
   *     requires a gradient is not float64
   */
  public static void check(Function<Tensor[], Tensor> function, Tensor... inputs) {
    LibTorch.load();
    for (int i = 0; i < inputs.length; i++) {
      ScalarType type = inputs[i].scalar_type().intern();
      if (inputs[i].requires_grad() && type != ScalarType.Double) {
        throw ActclipException.badInput("input %d is %s: differences need float64", i, type);
      }
      if (inputs[i].requires_grad() && !inputs[i].is_cpu()) { // Its elements are read from Java.
        throw ActclipException.badInput("input %d is not on the CPU: differences need it there", i);
      }
    }
    TensorScope.run(() -> new GradientCheck(function, inputs).checkAll());
  }

  private void checkAll() {
    for (int i = 0; i < inputs.length; i++) {
      if (inputs[i].requires_grad()) {
        check(i, analytic(i));
      }
    }
  }

  private double[] analytic(int input) {
    Tensor loss = function.apply(inputs).mul(weights).sum();
    TensorVector gradient =
        Autograd.unwrapping(
            () ->
                torch.grad(
                    new TensorVector(loss),
                    new TensorVector(inputs[input]),
                    new TensorVector(),
                    new BoolOptional(),
                    false,
                    true));
    double[] values = new double[Math.toIntExact(inputs[input].numel())];
    if (gradient.get(0).defined() && values.length > 0) {
      DoubleBuffer buffer = gradient.get(0).contiguous().createBuffer();
      buffer.get(values);
    }
    return values;
  }

  private void check(int input, double[] analytic) {
    for (int i = 0; i < analytic.length; i++) {
      double numeric = numeric(input, i);
      if (!Double.isFinite(analytic[i]) || differ(analytic[i], numeric)) {
        throw ActclipException.failure(
            null,
            "input %d at %s: autograd gives %s, differences give %s",
            input,
            Arrays.toString(position(input, i)),
            analytic[i],
            numeric);
      }
    }
  }

  private double numeric(int input, int element) {
    for (double step = FIRST_STEP; step > LAST_STEP / 2; step /= 10) {
      double left = (here - loss(input, element, -step)) / step;
      double right = (loss(input, element, step) - here) / step;
      if (Double.isFinite(left) && Double.isFinite(right) && !differ(left, right)) {
        return (left + right) / 2;
      }
    }
    throw ActclipException.failure(
        null,
        "input %d at %s is on a kink, where there is no gradient: move it",
        input,
        Arrays.toString(position(input, element)));
  }

  private double loss(int input, int element, double change) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor changed = inputs[input].detach().contiguous().clone();
      DoubleBuffer buffer = changed.createBuffer();
      buffer.put(element, buffer.get(element) + change);
      Tensor[] all = inputs.clone();
      all[input] = changed;
      return function.apply(all).mul(weights).sum().item_double();
    }
  }

  private static boolean differ(double a, double b) {
    return !(Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.max(Math.abs(a), Math.abs(b))));
  }

  private long[] position(int input, int element) {
    long[] position = inputs[input].shape();
    long rest = element;
    for (int dim = position.length - 1; dim >= 0; dim--) {
      long size = position[dim];
      position[dim] = rest % size;
      rest /= size;
    }
    return position;
  }
}
