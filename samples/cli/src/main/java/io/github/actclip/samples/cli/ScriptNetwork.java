package io.github.actclip.samples.cli;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Calibration;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.models.Clips;
import io.github.actclip.nn.models.ScriptModule;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.benchmark.Architecture;
import io.github.actclip.samples.benchmark.Wanted;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A network that Python has scripted.
 *
 * @param file where it was
 * @param untrained the names of the thresholds that the file has no value for
 */
record ScriptNetwork(Path file, ScriptModule module, Set<String> untrained) {

  /** What notes call it. */
  static final String NAME = "script";

  /** Of photos, as torchvision's networks take them. */
  private static final int IMAGE_SIZE = 224;

  private static final ActivationOptions USUAL =
      ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(6));

  /**
   * What is noted of it.
   *
   * @param file the name of the file that it came from
   * @param classes how many it tells apart
   */
  record Options(String file, int classes) {}

  /** As it is in its file; call it outside of a scope, which would close it. */
  static ScriptNetwork load(Path file) {
    return new ScriptNetwork(file, ScriptModule.load(file), Set.of());
  }

  /**
   * To be trained: with the clips that are in its file, or else with a new one for each rectifier.
   *
   * @throws ActclipException bad input, when it has clips and others are asked for, or the options
   *     are none of a script's
   */
  static ScriptNetwork begin(Path file, ActivationMixin activation) {
    ScriptNetwork own = load(file);
    ActivationOptions asked = activation.options(own.architecture());
    if (!own.module.thresholds().isEmpty()) {
      requireUsual(file, asked);
      return own;
    }
    requirePlain(asked);
    if (asked.equals(ActivationOptions.relu())) {
      return own;
    }
    own.module.close();
    ScriptModule clipped = Clips.insert(file, asked.clip());
    return new ScriptNetwork(file, clipped, clipped.thresholds().keySet());
  }

  private static void requireUsual(Path file, ActivationOptions asked) {
    if (!asked.equals(USUAL)) {
      throw ActclipException.badInput(
          "%s has clips already, which stay as they are: leave out --clip, --threshold-init and all"
              + " else that says what clips are like",
          file);
    }
  }

  private static void requirePlain(ActivationOptions asked) {
    if (!asked.equals(ActivationOptions.clip(asked.clip()))) {
      throw ActclipException.badInput(
          "a network of TorchScript has one threshold a clip and float32 weights: leave out"
              + " --per-channel, --activation-bits and --weight-bits");
    }
    asked.layer(1).close(); // It refuses what is no option of the form, as in all other networks.
  }

  /** The network whose weights a training left in a folder, or in a file in it. */
  static Architecture<Options> beside(Path weights) {
    Path file = fileBeside(weights);
    return architecture(
        file,
        () -> {
          if (!Files.exists(file)) {
            throw ActclipException.badInput(
                "%s is missing, which has the network that the weights of %s are of",
                file, weights);
          }
          return ScriptModule.load(file);
        });
  }

  private static Path fileBeside(Path weights) {
    Path folder = Files.isDirectory(weights) ? weights : weights.resolveSibling("");
    Path run = folder.endsWith(Run.CHECKPOINTS) ? folder.resolveSibling("") : folder;
    return run.resolve(Run.MODULE);
  }

  /** As an architecture that makes this one, once. */
  Architecture<Options> architecture() {
    return architecture(file, () -> module);
  }

  private static Architecture<Options> architecture(Path file, Supplier<ScriptModule> module) {
    return new Architecture<>(
        NAME,
        IMAGE_SIZE,
        ActivationOptions.relu(),
        Options.class,
        wanted -> options(file, module.get(), wanted),
        options -> module.get(),
        options -> 0, // The file has them: nothing is made that is larger than it.
        Options::classes);
  }

  private static Options options(Path file, ScriptModule module, Wanted wanted) {
    wanted.withoutWidth(file.toString());
    long[] shape = outputs(file, module, wanted.channels(), wanted.imageSize());
    if (shape.length != 2 || shape[1] != wanted.classes()) {
      throw ActclipException.badInput(
          "%s makes %s of an image, and the images are of %d classes",
          file,
          shape.length == 2 ? shape[1] + " numbers" : "a tensor of " + shape.length + " dimensions",
          wanted.classes());
    }
    return new Options(file.getFileName().toString(), wanted.classes());
  }

  /** Nothing in a file says how many there are. */
  private static long[] outputs(Path file, ScriptModule module, int channels, int size) {
    module.eval(); // Running statistics stay as they are.
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor image = torch.zeros(1, channels, size, size);
      return module.forward(image).shape();
    } catch (ActclipException e) {
      throw ActclipException.badInput(
          "%s cannot take images of %d×%d×%d: %s", file, channels, size, size, e.getMessage());
    } finally {
      module.train(true);
    }
  }

  /**
   * Sets the new thresholds, as those of trained weights without any; or, where it was not trained,
   * as those of a network that is made anew.
   */
  void start(Start start, ActivationMixin activation) {
    Optional<Calibration> forced = activation.calibration();
    if (isTrained()) {
      start.thresholds(file, untrained, forced, activation.calibrationOfTrained(architecture()));
    } else {
      forced.ifPresent(start::calibrate);
    }
  }

  /**
   * Whether batch normalisation has counted batches, or there is none. Before it has, activations
   * in evaluation mode are not normalised, and say nothing of those in training.
   */
  private boolean isTrained() {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> state = StateDict.of(module);
      List<String> counts =
          state.keySet().stream().filter(name -> name.endsWith("num_batches_tracked")).toList();
      return counts.isEmpty() || counts.stream().anyMatch(name -> state.get(name).item_long() > 0);
    }
  }

  /**
   * Writes a network that came from TorchScript as that again, with what a training has learned.
   *
   * @param from its file, or the folder of its training
   * @throws ActclipException bad input, when the network there is another
   */
  static void write(Path from, Path to) {
    if (ScriptModule.isIn(from)) {
      load(from).module.save(to);
      return;
    }
    SavedModel saved = SavedModel.of(from);
    String name = saved.description().model().architecture().name();
    if (!name.equals(NAME)) {
      throw ActclipException.badInput(
          "%s is of %s, which is written in Java, and LibTorch makes no TorchScript of that: export"
              + " it as onnx, or as safetensors for the same network in Python",
          from, name);
    }
    ScriptModule module = ScriptModule.load(fileBeside(from));
    TensorScope.run(() -> StateDict.load(module, StateDict.read(saved.weights())));
    module.save(to);
  }

  /** Keeps it, clips included, in a training's folder, for {@link #beside}. */
  void keep(Path folder) {
    module.save(folder.resolve(Run.MODULE));
  }
}
