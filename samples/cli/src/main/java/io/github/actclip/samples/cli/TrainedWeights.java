package io.github.actclip.samples.cli;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.Tensor;

/** A file of weights that were trained elsewhere, such as torchvision's. */
record TrainedWeights(Path file) {

  private static final Logger LOG = LogManager.getLogger(TrainedWeights.class);

  /** What {@code DistributedDataParallel} puts before every name. */
  private static final String MODULE = "module.";

  /**
   * Loads them into a network of as many classes: see {@link StateDict#loadWeights}.
   *
   * @throws ActclipException bad input, when they are of another network
   */
  void load(Network network) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> state = StateDict.read(file);
      Map<String, Tensor> own = StateDict.of(network);
      String head = head(own);
      if (isOther(given(head, state), own.get(head))) {
        throw ActclipException.badInput(
            "%s is of a network of %d classes, and the images are of %d",
            file, given(head, state).size(0), own.get(head).size(0));
      }
      load(network, state);
    }
  }

  /**
   * Loads them into a network that is to be trained. If they are of another number of classes, its
   * last layer stays as it is.
   *
   * @return the names of the thresholds that the file has no value for
   * @throws ActclipException bad input, when they are of another network
   */
  List<String> start(Network network) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> state = new LinkedHashMap<>(StateDict.read(file));
      Map<String, Tensor> own = StateDict.of(network);
      String head = head(own);
      long classes = own.get(head).size(0);
      Tensor given = given(head, state);
      boolean isOther = isOther(given, own.get(head));
      if (isOther) {
        replace(head, own, state);
        replace(head.replaceFirst("weight$", "bias"), own, state);
      }
      List<String> missing = load(network, state);
      if (isOther) {
        LOG.info(
            "{} is of a network of {} classes, and the images are of {}: the last layer starts anew",
            file,
            given.size(0),
            classes);
      }
      return missing;
    }
  }

  private List<String> load(Network network, Map<String, Tensor> state) {
    try {
      return StateDict.loadWeights(network, state);
    } catch (ActclipException e) {
      throw e.isBadInput()
          ? ActclipException.badInput(
              "%s has no weights for this network. %s", file, e.getMessage())
          : e;
    }
  }

  /** The last layer's weight: the last that is a matrix. */
  private static String head(Map<String, Tensor> own) {
    return own.keySet().stream()
        .filter(name -> own.get(name).dim() == 2)
        .reduce((before, last) -> last)
        .orElseThrow();
  }

  /** Undefined where there is none. */
  private static Tensor given(String name, Map<String, Tensor> state) {
    return state.getOrDefault(name, state.getOrDefault(MODULE + name, new Tensor()));
  }

  /** Whether it is for another number of classes, and alike otherwise. */
  private static boolean isOther(Tensor given, Tensor own) {
    return given.defined()
        && given.dim() == 2
        && given.size(1) == own.size(1)
        && given.size(0) != own.size(0);
  }

  private static void replace(String name, Map<String, Tensor> own, Map<String, Tensor> state) {
    Tensor copy = own.get(name).clone();
    if (state.replace(name, copy) == null) {
      state.replace(MODULE + name, copy);
    }
  }
}
