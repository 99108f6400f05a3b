package io.github.actclip.report;

import io.github.actclip.data.Normalization;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import java.nio.file.Path;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * What a file of weights says of the {@link Net} that they are of: texts beside its tensors, by
 * which it can be made again, and be shown images as in its training.
 *
 * @param net the network's shape, and how it clips
 * @param normalization of the images
 */
public record NetDescription(NetOptions net, Normalization normalization) {

  private static final String NET = "actclip.net";
  private static final String NORMALIZATION = "actclip.normalization";

  /** The texts, for {@link StateDict#write(Path, Map, Map)}. */
  public Map<String, String> toMetadata() {
    return Map.of(NET, Json.line(net), NORMALIZATION, Json.line(normalization));
  }

  /**
   * Reads what a file says. Where it says nothing, as one of Python's does not, the network is the
   * original's, and the images are not normalised.
   *
   * @throws ActclipException bad input, when a text is damaged, or the file is none of {@link
   *     StateDict#readMetadata}'s
   */
  public static NetDescription read(Path file) {
    Map<String, String> texts = StateDict.readMetadata(file);
    return new NetDescription(
        read(texts, NET, NetOptions.class, NetOptions.original(), file),
        read(texts, NORMALIZATION, Normalization.class, Normalization.none(), file));
  }

  private static <T> T read(
      Map<String, String> texts, String name, Class<T> type, T without, Path file) {
    String text = texts.get(name);
    return text == null
        ? without
        : Json.read(text, type, file + " has a damaged text \"" + name + "\"");
  }

  /**
   * Makes the network, with the weights of the file, on the CPU; the caller owns it.
   *
   * @throws ActclipException bad input, when the file's weights are of another one
   */
  public Net load(Path file) {
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
