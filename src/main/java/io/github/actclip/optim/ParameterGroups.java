package io.github.actclip.optim;

import io.github.actclip.nn.Network;
import io.github.actclip.nn.Threshold;
import io.github.actclip.runtime.ActclipException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * The parameter groups of an optimizer, each in the order of the parameters; they belong to the
 * scope that they were made in.
 *
 * @param weights what is updated as the configuration says of weights; thresholds, too, which need
 *     nothing else
 * @param apart thresholds with a learning rate and a weight decay of their own
 * @param byValue thresholds whose parameter LibTorch's weight decay must not pull towards 0
 * @param decaying those of the last group whose value decays
 */
record ParameterGroups(
    TensorVector weights, TensorVector apart, TensorVector byValue, List<Threshold> decaying) {

  /**
   * Sorts parameters into groups.
   *
   * @throws ActclipException when a threshold is not among the parameters
   */
  static ParameterGroups of(
      TensorVector parameters, Collection<Threshold> thresholds, OptimizerConfig config) {
    TensorVector distinct = Network.distinct(parameters);
    thresholds.forEach(threshold -> requireAmong(threshold, parameters));
    ParameterGroups groups =
        new ParameterGroups(
            new TensorVector(), new TensorVector(), new TensorVector(), new ArrayList<>());
    for (long i = 0; i < distinct.size(); i++) {
      Tensor parameter = distinct.get(i);
      Optional<Threshold> threshold =
          thresholds.stream().filter(t -> t.parameter().is_same(parameter)).findFirst();
      threshold.ifPresentOrElse(
          t -> groups.add(t, config), () -> groups.weights.push_back(parameter));
    }
    return groups;
  }

  private void add(Threshold threshold, OptimizerConfig config) {
    boolean likeWeights = !config.setsThresholdsApart();
    switch (threshold.decay()) {
      case PARAMETER -> (likeWeights ? weights : apart).push_back(threshold.parameter());
      case VALUE -> {
        byValue.push_back(threshold.parameter());
        decaying.add(threshold);
      }
      case NONE -> byValue.push_back(threshold.parameter());
    }
  }

  private static void requireAmong(Threshold threshold, TensorVector parameters) {
    if (!threshold.isAmong(parameters)) {
      throw ActclipException.badInput(
          "the threshold %s is not among the %d parameters, and so would not learn: register its"
              + " layer with the module",
          threshold.name(), parameters.size());
    }
  }
}
