package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;

/** Checks which samples are asked for. */
final class Indices {

  private Indices() {}

  /** Refuses none, and those that a data set does not have. */
  static void require(Dataset dataset, int[] indices) {
    if (indices.length == 0) {
      throw ActclipException.badInput(
          "A batch of no samples of %s was asked for: give one index at least", dataset.name());
    }
    for (int index : indices) {
      if (index < 0 || index >= dataset.size()) {
        throw ActclipException.badInput(
            "%s has no sample %d; its samples are 0 to %d",
            dataset.name(), index, dataset.size() - 1);
      }
    }
  }
}
