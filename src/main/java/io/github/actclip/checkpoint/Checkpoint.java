package io.github.actclip.checkpoint;

import io.github.actclip.data.Dataset;
import io.github.actclip.io.Json;
import io.github.actclip.io.SealedTensors;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerState;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.Tensor;

/**
 * A training as it stood between two steps, in a file from which it goes on bit for bit: parameters
 * and buffers, the optimizer's state, LibTorch's random state, the options, the place in the
 * schedule and among the samples, and the metrics so far.
 *
 * <p>The file is a safetensors file with a checksum. The network's tensors are in it as {@code
 * net.conv1.weight} and so on. This object holds no native memory.
 *
 * <pre>{@code
 * Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
 * Network network = new Classifier();
 * new Trainer(network, checkpoint.options()).resume(checkpoint::restore, train, test);
 * }</pre>
 */
public final class Checkpoint {

  private static final Logger LOG = Loggers.of(Checkpoint.class);

  static final String STATE = "training";

  private final Path file;
  private final CheckpointState state;

  private Checkpoint(Path file, CheckpointState state) {
    this.file = file;
    this.state = state;
  }

  /**
   * Reads a checkpoint, and checks all of it.
   *
   * @throws ActclipException bad input when it is damaged, or of a newer format
   */
  public static Checkpoint read(Path file) {
    LibTorch.load();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return new Checkpoint(file, state(file, SealedTensors.read(file)));
    }
  }

  /**
   * The newest sound checkpoint of a folder: the one after the most steps. Damaged ones are named
   * in the log and skipped.
   *
   * @return empty when there is none
   * @throws ActclipException bad input when the folder holds those of more than one training: none
   *     of them is newer than another's; or when the newest is of a newer format: a training that
   *     went on from an older one would be another
   */
  public static Optional<Checkpoint> newest(Path folder) {
    List<Path> files = CheckpointFiles.in(folder);
    Optional<Checkpoint> newest = files.stream().flatMap(Checkpoint::readIfSound).findFirst();
    newest.ifPresent(checkpoint -> checkpoint.requireNoOther(files));
    return newest;
  }

  /** Whether a folder holds the file of a checkpoint, be it sound or not. */
  public static boolean isIn(Path folder) {
    return !CheckpointFiles.in(folder).isEmpty();
  }

  private static Stream<Checkpoint> readIfSound(Path file) {
    CheckpointFiles.requireKnownFormat(file);
    try {
      return Stream.of(read(file));
    } catch (ActclipException e) {
      LOG.warn("A checkpoint is skipped: {}", e.getMessage());
      return Stream.empty();
    }
  }

  private void requireNoOther(List<Path> files) {
    CheckpointFiles.another(files, state.run())
        .ifPresent(
            other -> {
              throw ActclipException.badInput(
                  "%s and %s are of different trainings: move those of one to another folder",
                  file, other);
            });
  }

  /**
   * Writes where a training stands, or leaves no file.
   *
   * @return the file
   * @throws ActclipException a failure when it cannot be written
   */
  static Path write(Path folder, Training training) {
    Path file = CheckpointFiles.of(folder, training.step());
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> tensors =
          Snapshot.tensors(training.network(), training.optimizer(), training.device());
      new SealedTensors(tensors, Map.of(STATE, Json.line(CheckpointState.of(training))))
          .write(file);
    }
    return file;
  }

  /** Where it was read from. */
  public Path file() {
    return file;
  }

  /** How many steps had been done. */
  public long step() {
    return state.progress().step();
  }

  /** How the training goes on. */
  public TrainerOptions options() {
    return state.options();
  }

  /** Where the training's data is: see {@link Dataset#source}. */
  public String source() {
    return state.train().source();
  }

  /** Whether one of that name changes the training's data: see {@link Dataset#transforms}. */
  public boolean hasTransform(String name) {
    return state.train().transforms().stream().anyMatch(text -> text.startsWith(name));
  }

  /** What was noted with the training: see {@link io.github.actclip.train.Trainer#note}. */
  public Map<String, String> notes() {
    return state.notes();
  }

  /**
   * Brings a network to where it stood: its tensors, and which thresholds learn.
   *
   * @param network of the same kind, on any device
   * @throws ActclipException bad input when it is of another kind; nothing was changed then
   */
  public void load(Network network) {
    state.requireKind(file, network);
    TensorScope.run(() -> StateDict.load(network, Snapshot.network(content())));
    TensorScope.run(() -> Snapshot.freeze(network, state.frozen()));
  }

  /**
   * Brings a training that has not begun to where this one stood; what was frozen then is frozen,
   * and nothing else.
   *
   * @throws ActclipException bad input when it is another training; nothing was changed then. A
   *     failure when LibTorch cannot take up a state, which may have changed a part.
   */
  public void restore(Training training) {
    state.requireSame(file, training);
    state.warnOfChanges(training.options());
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> tensors = content();
      StateDict.load(training.network(), Snapshot.network(tensors));
      OptimizerState.load(
          training.optimizer(),
          training.options().optimizer().type(),
          Snapshot.optimizer(tensors),
          training.device());
      if (state.device().equals(training.device().str().getString())) {
        Snapshot.restoreRandomState(tensors, training.device());
      }
      Snapshot.freeze(training.network(), state.frozen());
      training.restore(state.run(), state.progress());
    }
  }

  /** The caller's scope owns the tensors. */
  private Map<String, Tensor> content() {
    return SealedTensors.read(file).tensors();
  }

  private static CheckpointState state(Path file, SealedTensors content) {
    String text = content.metadata().get(STATE);
    if (text == null) {
      throw ActclipException.badInput("%s is not a checkpoint of a training", file);
    }
    CheckpointState state = CheckpointState.read(file, text);
    Snapshot.requireWhole(file, content);
    return state;
  }
}
