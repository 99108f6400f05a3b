package io.github.actclip.nn;

import io.github.actclip.runtime.Internal;
import java.util.function.Supplier;
import org.bytedeco.pytorch.SharedModuleVector;

/** The mode of a network in which it learns nothing, for a while. */
@Internal
public final class EvaluationMode {

  private EvaluationMode() {}

  /** Does something with a network in evaluation mode, and brings each module back into its own. */
  public static <T> T of(Network network, Supplier<T> work) {
    try (SharedModuleVector modules = network.modules()) { // each before those in it
      boolean[] trains = new boolean[Math.toIntExact(modules.size())];
      for (int i = 0; i < trains.length; i++) {
        trains[i] = modules.get(i).is_training();
      }
      network.eval();
      try {
        return work.get();
      } finally {
        for (int i = 0; i < trains.length; i++) {
          modules.get(i).train(trains[i]);
        }
      }
    }
  }
}
