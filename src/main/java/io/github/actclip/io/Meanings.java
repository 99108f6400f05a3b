package io.github.actclip.io;

import io.github.actclip.runtime.TensorMeaning;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Tensor;

/** Takes {@link TensorMeaning}s into the texts of a file, and out of them. */
final class Meanings {

  private static final String PREFIX = "actclip.meaning.";

  private Meanings() {}

  /**
   * The texts, and the meaning of each tensor that has one, by their names: the same texts give the
   * same bytes.
   */
  static Map<String, String> with(Map<String, String> texts, Map<String, Tensor> tensors) {
    Map<String, String> all = new TreeMap<>(texts);
    tensors.forEach(
        (name, tensor) ->
            TensorMeaning.of(tensor).ifPresent(meaning -> all.put(PREFIX + name, meaning)));
    return all;
  }

  /** Gives the tensors of a file the meanings that its texts have for them. */
  static void give(Map<String, Tensor> tensors, Map<String, String> texts) {
    tensors.forEach(
        (name, tensor) -> {
          String meaning = texts.get(PREFIX + name);
          if (meaning != null) {
            TensorMeaning.set(tensor, meaning);
          }
        });
  }
}
