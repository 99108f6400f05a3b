package io.github.actclip.samples.cli;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Transform;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;

/**
 * What is noted with the training of a network, and beside its weights: by it the network can be
 * made again, and be shown images as in its training.
 *
 * @param model the network, and how it clips
 * @param augmentation of the images that it learns from
 * @param normalization of all images
 */
record ModelDescription(Model<?> model, Augmentation augmentation, Normalization normalization) {

  private static final String AUGMENTATION = "actclip.augmentation";
  private static final String NORMALIZATION = "actclip.normalization";

  /** As notes of a training. */
  Map<String, String> notes() {
    Map<String, String> notes = new LinkedHashMap<>(model.notes());
    notes.put(NORMALIZATION, Json.line(normalization));
    if (!augmentation.equals(Augmentation.none())) {
      notes.put(AUGMENTATION, Json.line(augmentation));
    }
    return notes;
  }

  /**
   * Reads notes. Where they say nothing, as those of Python's files do not, the network is the
   * original {@code Net}, and the images are left as they are.
   *
   * @param from where they are from, for the message
   * @throws ActclipException bad input, when one is damaged
   */
  static ModelDescription of(Map<String, String> notes, Path from) {
    return new ModelDescription(
        Model.of(notes, from),
        notes.containsKey(AUGMENTATION)
            ? Model.read(notes, AUGMENTATION, Augmentation.class, from)
            : Augmentation.none(),
        notes.containsKey(NORMALIZATION)
            ? Model.read(notes, NORMALIZATION, Normalization.class, from)
            : Normalization.none());
  }

  /** The images that it learns from, as it sees them. */
  Dataset training(Dataset images) {
    Transform[] some =
        Stream.of(augmentation, normalization)
            .filter(transform -> !transform.equals(Augmentation.none()))
            .filter(transform -> !transform.equals(Normalization.none()))
            .toArray(Transform[]::new);
    return some.length == 0 ? images : images.transformed(some);
  }

  /** The images that it is tested with, as it sees them. */
  Dataset testing(Dataset images) {
    return new ModelDescription(model, Augmentation.none(), normalization).training(images);
  }

  /**
   * Makes the network, with the weights of a file, on the CPU; the caller owns it.
   *
   * @throws ActclipException bad input, when the file's weights are of another one
   */
  Network load(Path file) {
    Map<String, Tensor> state = StateDict.read(file);
    try {
      requireWeights(file, state);
      Network made = model.network(); // outside of a scope, which would close what it is made of
      StateDict.load(made, state);
      return made;
    } finally {
      state.values().forEach(Tensor::close);
    }
  }

  /** Whatever the file says, it bounds the memory of a network larger than the original. */
  private void requireWeights(Path file, Map<String, Tensor> state) {
    long numbers = state.values().stream().mapToLong(Tensor::numel).sum();
    if (model.weightCount() > Math.max(numbers, NetOptions.original().weightCount())) {
      throw ActclipException.badInput(
          "%s holds %d numbers, and the network that it is said to be of has %d weights",
          file, numbers, model.weightCount());
    }
  }
}
