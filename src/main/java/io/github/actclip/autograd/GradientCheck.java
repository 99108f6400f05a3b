package io.github.actclip.autograd;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.nio.DoubleBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Compares the gradient that autograd computes with central differences in float64, element by
 * element. The loss is the sum of the output's elements, each times a weight of its own.
 *
 * <p>A gradient is right when it is within 1e-5 of the difference quotient, relative to the larger
 * of the two (where several elements of the output change, to the sum of what each contributes),
 * and within the quotient's own error: half of what the slopes to the left and to the right differ
 * by, and what rounding makes of the function's values, divided by the step. Elements of the output
 * that change at no step add only what rounding can hide at the largest.
 *
 * <p>The step is 1e-6, times |x| where that is above 1. Where left and right differ by more than
 * 1e-5 then, or nothing changes, or the gradient is not right, steps from 1e-2 down to 1e-15 of |x|
 * are tried, and the one where that error is smallest is taken: the function may be curved, or have
 * a kink near x. Where the difference of the two slopes stays the same down to the smallest step at
 * which it can be told from rounding, x is on a kink, and there is nothing to compare with.
 */
public final class GradientCheck {

  private static final double FIRST_STEP = 1e-6;

  // Relative to |x|, the largest at least to 1.
  private static final double LARGEST_STEP = 1e-2;
  private static final double SMALLEST_STEP = 1e-15;

  private final Function<Tensor[], Tensor> function;
  private final Tensor[] inputs;
  private final Tensor weights;
  private final double[] weightValues;

  /** The output at the point itself. */
  private final double[] here;

  private GradientCheck(Function<Tensor[], Tensor> function, Tensor[] inputs) {
    this.function = function;
    this.inputs = inputs;
    Tensor output = function.apply(inputs);
    Arguments.requireData("the function's output", output, "the check");
    // Every element of the output counts, and no two of them alike.
    Tensor numbers = torch.arange(new Scalar(output.numel()));
    weights = numbers.to(ScalarType.Double).cos().view(output.shape());
    weightValues = values(weights);
    here = values(output);
    if (!Arrays.stream(here).allMatch(Double::isFinite)) {
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
    Autograd.requireInputs(inputs);
    for (int i = 0; i < inputs.length; i++) {
      Arguments.requireData("input " + i, inputs[i], "the check");
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
    Tensor byInput = gradient.get(0);
    return byInput.defined() ? values(byInput) : new double[Math.toIntExact(inputs[input].numel())];
  }

  private void check(int input, double[] analytic) {
    double[] points = values(inputs[input]);
    for (int i = 0; i < analytic.length; i++) {
      if (!Double.isFinite(points[i])) {
        throw failure(input, i, " is %s, which has no differences", points[i]);
      }
      Slopes usual = usual(input, i, points[i]);
      if (!usual.agree() || !usual.fit(analytic[i])) {
        Slopes best = best(input, i, points[i]);
        if (!best.fit(analytic[i])) {
          throw failure(
              input, i, ": autograd gives %s, differences give %s", analytic[i], best.central());
        }
      }
    }
  }

  private Slopes usual(int input, int element, double x) {
    Slopes.Output output = new Slopes.Output(weightValues, here);
    return slopes(output, input, element, x, FIRST_STEP * Math.max(1, Math.abs(x)));
  }

  private Slopes best(int input, int element, double x) {
    Slopes.Output output = new Slopes.Output(weightValues, here);
    double smallest = Math.max(Double.MIN_NORMAL, SMALLEST_STEP * (x == 0 ? 1 : Math.abs(x)));
    List<Slopes> finite = new ArrayList<>();
    for (double step = LARGEST_STEP * Math.max(1, Math.abs(x)); step >= smallest; step /= 10) {
      Slopes slopes = slopes(output, input, element, x, step);
      if (slopes.areFinite()) {
        finite.add(slopes);
      }
    }
    return Slopes.best(finite, output.unseen())
        .orElseThrow(
            () -> failure(input, element, " is on a kink, where there is no gradient: move it"));
  }

  private Slopes slopes(Slopes.Output output, int input, int element, double x, double step) {
    double below = x - step;
    double above = x + step;
    return output.slopes(
        outputs(input, element, below), outputs(input, element, above), x - below, above - x);
  }

  private ActclipException failure(int input, int element, String what, Object... arguments) {
    String where = "input " + input + " at " + Arrays.toString(position(input, element));
    return ActclipException.failure(
        null, "%s%s", where, String.format(Locale.ROOT, what, arguments));
  }

  private double[] outputs(int input, int element, double value) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor changed = inputs[input].detach().contiguous().clone();
      DoubleBuffer buffer = changed.createBuffer();
      buffer.put(element, value);
      Tensor[] all = inputs.clone();
      all[input] = changed;
      return values(function.apply(all));
    }
  }

  private static double[] values(Tensor tensor) {
    double[] values = new double[Math.toIntExact(tensor.numel())];
    if (values.length > 0) {
      Tensor here = tensor.detach().cpu().to(ScalarType.Double).contiguous();
      DoubleBuffer buffer = here.createBuffer();
      buffer.get(values);
    }
    return values;
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
