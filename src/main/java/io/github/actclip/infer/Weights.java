package io.github.actclip.infer;

import io.github.actclip.data.Normalizer;
import io.github.actclip.data.Preprocessing;
import io.github.actclip.data.SampleReader;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A frozen network, and what belongs to its weights. Those that use it are counted: it is let go
 * when the last of them has let it go. On platform threads alone.
 */
final class Weights {

  private final Network network;
  private final Preprocessing preprocessing;
  private final Normalizer normalizer;
  private final long bytes;

  /** Whether the network is nobody else's. */
  private final boolean owned;

  private int users = 1;

  private Weights(
      Network network, Preprocessing preprocessing, boolean owned, PredictorOptions options) {
    this.network = network;
    this.preprocessing = preprocessing;
    this.owned = owned;
    normalizer = new SampleReader(preprocessing, options.mostPixels()).normalizer();
    bytes = freeze(network, options.device());
  }

  /** Returns its bytes. */
  private static long freeze(Network network, String device) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      network.to(Devices.of(device), false);
      network.eval();
      network.toChannelsLast();
      return StateDict.of(network).values().stream().mapToLong(Tensor::nbytes).sum();
    }
  }

  /** A network of the caller's, who keeps it. */
  static Weights of(Network network, PredictorOptions options) {
    Arguments.requireOpen("the network", network);
    return new Weights(
        network,
        options
            .preprocessing()
            .orElseThrow(
                () ->
                    ActclipException.badInput(
                        "a network does not say what it takes: give"
                            + " PredictorOptions.preprocessing, such as test.preprocessing()")),
        false,
        options);
  }

  /**
   * Makes a network with the weights of a file.
   *
   * @param path of the file, or of a training's folder
   */
  static Weights load(Path path, Supplier<? extends Network> maker, PredictorOptions options) {
    Path file = Files.isDirectory(path) ? path.resolve(Run.MODEL) : path;
    if (Files.isDirectory(path) && Files.notExists(file)) {
      throw ActclipException.badInput(
          "%s is not the folder of a training that was tested once: it has no %s", path, Run.MODEL);
    }
    Preprocessing preprocessing = options.preprocessing().orElseGet(() -> preprocessing(file));
    Network network = maker.get(); // outside of a scope, which would close what it is made of
    Arguments.requireOpen("the network", network);
    TensorScope.run(() -> load(file, network));
    return new Weights(network, preprocessing, true, options);
  }

  private static Preprocessing preprocessing(Path file) {
    String text = StateDict.readMetadata(file).get(Preprocessing.NOTE);
    if (text == null) {
      throw ActclipException.badInput(
          "%s does not say what was done to the data of its training, being older or from elsewhere:"
              + " give PredictorOptions.preprocessing, such as test.preprocessing()",
          file);
    }
    return Json.read(
        text, Preprocessing.class, file + " has a damaged text \"" + Preprocessing.NOTE + "\"");
  }

  private static void load(Path file, Network network) {
    Map<String, Tensor> state = StateDict.read(file);
    List<String> missing;
    try {
      missing = StateDict.loadWeights(network, state);
    } catch (ActclipException e) {
      throw e.isBadInput()
          ? ActclipException.badInput(
              "%s has no weights for this network. %s", file, e.getMessage())
          : e;
    }
    if (!missing.isEmpty()) {
      throw ActclipException.badInput(
          "%s has no value for the thresholds %s: train the network, or calibrate it, and save it"
              + " before",
          file, missing);
    }
  }

  /** The names of the outputs, if they have any. */
  List<String> classes(int outputs) {
    List<String> classes = preprocessing.classes();
    if (!classes.isEmpty() && classes.size() != outputs) {
      throw ActclipException.badInput(
          "the network %s makes %d outputs of a sample, and there are names for %d",
          network, outputs, classes.size());
    }
    return classes;
  }

  Preprocessing preprocessing() {
    return preprocessing;
  }

  Normalizer normalizer() {
    return normalizer;
  }

  /** Of its parameters and buffers. */
  long bytes() {
    return bytes;
  }

  /**
   * The outputs of a batch.
   *
   * @return the caller's scope owns it
   */
  Tensor forward(Tensor x) {
    Tensor output =
        ActclipException.inOneSentence(
            () ->
                "the network " + network + " fails on data of shape " + Arrays.toString(x.shape()),
            () -> network.forward(x));
    Arguments.requireTensor("the output of the network", output);
    if (output.dim() == 0 || output.size(0) != x.size(0)) {
      throw ActclipException.badInput(
          "the network %s makes output of shape %s of data of shape %s: its first dimension has to"
              + " be that of the samples",
          network, Arrays.toString(output.shape()), Arrays.toString(x.shape()));
    }
    return output;
  }

  /** Counts another user; false where the last one has let it go. */
  synchronized boolean acquire() {
    if (users > 0) {
      users++;
      return true;
    }
    return false;
  }

  /** For each {@link #acquire}, and once for whoever made it. */
  synchronized void release() {
    users--;
    if (users == 0 && owned) {
      free();
    }
  }

  /** At once: the modules in a network live until the garbage collector has found them. */
  private void free() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      StateDict.of(network).values().forEach(tensor -> tensor.set_data(empty(tensor)));
    }
    network.close();
  }

  private static Tensor empty(Tensor like) {
    return torch.empty(new long[] {0}, like.options(), null);
  }
}
