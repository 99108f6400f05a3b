package io.github.actclip.samples.cli;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Transform;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;

/**
 * What is noted with the training of a {@link Net}, and beside its weights: by it the network can
 * be made again, and be shown images as in its training.
 *
 * @param net the network's shape, and how it clips
 * @param augmentation of the images that it learns from
 * @param normalization of all images
 */
record NetDescription(NetOptions net, Augmentation augmentation, Normalization normalization) {

  private static final String NET = "actclip.net";
  private static final String AUGMENTATION = "actclip.augmentation";
  private static final String NORMALIZATION = "actclip.normalization";

  /** As notes of a training. */
  Map<String, String> notes() {
    Map<String, String> notes = new LinkedHashMap<>();
    notes.put(NET, net.toJson());
    notes.put(NORMALIZATION, Json.line(normalization));
    if (!augmentation.equals(Augmentation.none())) {
      notes.put(AUGMENTATION, Json.line(augmentation));
    }
    return notes;
  }

  /**
   * Reads notes. Where they say nothing, as those of Python's files do not, the network is the
   * original's, and the images are left as they are.
   *
   * @param from where they are from, for the message
   * @throws ActclipException bad input, when one is damaged
   */
  static NetDescription of(Map<String, String> notes, Path from) {
    return new NetDescription(
        read(notes, NET, NetOptions.class, NetOptions.original(), from),
        read(notes, AUGMENTATION, Augmentation.class, Augmentation.none(), from),
        read(notes, NORMALIZATION, Normalization.class, Normalization.none(), from));
  }

  private static <T> T read(
      Map<String, String> notes, String name, Class<T> type, T without, Path from) {
    String text = notes.get(name);
    return text == null
        ? without
        : Json.read(text, type, from + " has a damaged text \"" + name + "\"");
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
    return new NetDescription(net, Augmentation.none(), normalization).training(images);
  }

  /**
   * Makes the network, with the weights of a file, on the CPU; the caller owns it.
   *
   * @throws ActclipException bad input, when the file's weights are of another one
   */
  Net load(Path file) {
    Map<String, Tensor> state = StateDict.read(file);
    try {
      requireWeights(file, state);
      Net made = new Net(net); // outside of a scope, which would close what it is made of
      StateDict.load(made, state);
      return made;
    } finally {
      state.values().forEach(Tensor::close);
    }
  }

  /** Whatever the file says, it bounds the memory of a network larger than the original. */
  private void requireWeights(Path file, Map<String, Tensor> state) {
    long numbers = state.values().stream().mapToLong(Tensor::numel).sum();
    if (net.weightCount() > Math.max(numbers, NetOptions.original().weightCount())) {
      throw ActclipException.badInput(
          "%s holds %d numbers, and the network that it is said to be of has %d weights",
          file, numbers, net.weightCount());
    }
  }
}
