package io.github.actclip.optim;

import io.github.actclip.autograd.Autograd;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * The weight decay of thresholds whose parameter is not their value, such as its logarithm:
 * LibTorch's own would pull the parameter towards 0, and the value towards 1. Like LibTorch's, it
 * leaves out what has no gradient.
 *
 * @param thresholds each once
 * @param decay the coefficient λ
 */
record ValueDecay(List<Threshold> thresholds, double decay) {

  /**
   * Does a step with the L2 penalty ½ λ Σ t² on the values t: λ t dt/dp is added to the gradient of
   * the parameter p while the step lasts.
   */
  Tensor penalized(Supplier<Tensor> step) {
    try (TensorScope scope = new TensorScope()) {
      List<Threshold> moved = moved();
      List<Tensor> gradients = new ArrayList<>();
      moved.forEach(threshold -> gradients.add(new Tensor(threshold.parameter().grad())));
      try {
        moved.forEach(this::addPenalty);
        return scope.pass(step.get());
      } finally { // The watch reads the loss's own.
        for (int i = 0; i < moved.size(); i++) {
          moved.get(i).parameter().mutable_grad().put(gradients.get(i));
        }
      }
    }
  }

  /** Does a step after multiplying the values by 1 − rate·λ: decoupled (arXiv 1711.05101). */
  Tensor decoupled(DoubleSupplier rate, Supplier<Tensor> step) {
    moved().forEach(threshold -> threshold.scale(1 - rate.getAsDouble() * decay));
    return step.get();
  }

  private List<Threshold> moved() {
    return decay == 0 ? List.of() : thresholds.stream().filter(ValueDecay::hasGradient).toList();
  }

  private static boolean hasGradient(Threshold threshold) {
    try (Tensor gradient = threshold.parameter().grad()) {
      return gradient.defined() && threshold.parameter().requires_grad();
    }
  }

  private void addPenalty(Threshold threshold) {
    Tensor parameter = threshold.parameter();
    AutoGradMode recording = new AutoGradMode(true);
    try (recording) {
      Tensor value = threshold.withoutFloor();
      Tensor penalty = value.mul(value).sum().mul(new Scalar(decay / 2));
      Tensor gradient = Autograd.grad(penalty, parameter)[0];
      parameter.mutable_grad().put(parameter.grad().add(gradient));
    }
  }
}
