package io.github.actclip.nn.models;

import io.github.actclip.nn.Network;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;

/**
 * Modules one after the other, by the names 0, 1, 2, … as in Python's {@code Sequential}. The
 * presets' own cannot run a module that is written in Java.
 */
final class Sequential extends Network {

  private final List<UnaryOperator<Tensor>> steps = new ArrayList<>();

  /**
   * Adds a module.
   *
   * @param forward what it does, to something that nobody needs after it
   */
  <M extends Module> Sequential then(M module, BiFunction<M, Tensor, Tensor> forward) {
    register(Integer.toString(steps.size()), module);
    steps.add(x -> forward.apply(module, x));
    return this;
  }

  Sequential then(Network network) {
    return then(network, Network::forward);
  }

  @Override
  public Tensor forward(Tensor x) {
    try (TensorScope scope = new TensorScope()) { // Frees what is between.
      Tensor y = new Tensor(x); // a handle of its own, also where there is nothing to do
      for (UnaryOperator<Tensor> step : steps) {
        y = step.apply(y);
      }
      return scope.pass(y);
    }
  }
}
