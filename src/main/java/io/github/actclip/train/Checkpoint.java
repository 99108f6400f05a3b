package io.github.actclip.train;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.io.AtomicFile;
import io.github.actclip.io.SealedTensors;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.Loggers;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.logging.log4j.Logger;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A training as it stood between two steps, in a file from which it goes on bit for bit: parameters
 * and buffers, the optimizer's state, LibTorch's random state, the options, the place in the
 * schedule and among the images, and the metrics so far.
 *
 * <p>The file is a safetensors file with a checksum. The network's tensors are in it as {@code
 * net.conv1.weight} and so on. This object holds no native memory.
 *
 * <pre>{@code
 * Checkpoint checkpoint = Checkpoint.newest(folder).orElseThrow();
 * Net net = checkpoint.net();
 * new Trainer(net, checkpoint.options(), device, listeners).resume(checkpoint, train, test);
 * }</pre>
 */
public final class Checkpoint {

  private static final Logger LOG = Loggers.of(Checkpoint.class);

  private static final int FORMAT = 1;
  private static final String STATE = "training";
  private static final String NET = "net.";
  private static final String OPTIMIZER = "optimizer";
  private static final String RANDOM = "random";

  private static final String PREFIX = "step-";
  private static final String SUFFIX = ".safetensors";
  private static final String NAME = PREFIX + "%010d" + SUFFIX;
  private static final String PATTERN = PREFIX + "\\d{10,18}\\" + SUFFIX;

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
   * The newest sound checkpoint of a folder. Damaged ones are named in the log and skipped.
   *
   * @return empty when there is none
   */
  public static Optional<Checkpoint> newest(Path folder) {
    for (Path file : files(folder)) {
      try {
        return Optional.of(read(file));
      } catch (ActclipException e) {
        LOG.warn("A checkpoint is skipped: {}", e.getMessage());
      }
    }
    return Optional.empty();
  }

  /** The checkpoints of a folder, damaged ones too, newest first. */
  static List<Path> files(Path folder) {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> all = Files.list(folder)) {
      return all.filter(path -> path.getFileName().toString().matches(PATTERN))
          .sorted(Comparator.comparingLong(Checkpoint::stepOf).reversed())
          .toList();
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", folder, AtomicFile.reason(e));
    }
  }

  /** The step that the name of a checkpoint's file says. */
  static long stepOf(Path file) {
    String name = file.getFileName().toString();
    return Long.parseLong(name.substring(PREFIX.length(), name.length() - SUFFIX.length()));
  }

  /**
   * Writes where a training stands, or leaves no file.
   *
   * @return the file
   * @throws ActclipException a failure when it cannot be written
   */
  static Path write(Path folder, Training training) {
    Path file = folder.resolve(String.format(Locale.ROOT, NAME, training.step()));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      StateDict.of(training.net()).forEach((name, tensor) -> tensors.put(NET + name, tensor));
      tensors.put(OPTIMIZER, OptimizerState.save(training.optimizer()));
      tensors.put(RANDOM, generator(training.device()).get_state());
      new SealedTensors(tensors, Map.of(STATE, Json.line(describe(training)))).write(file);
    }
    return file;
  }

  private static CheckpointState describe(Training training) {
    RuntimeInfo environment = RuntimeInfo.current();
    return new CheckpointState(
        FORMAT,
        environment.actclip(),
        environment.pytorch(),
        training.device().str().getString(),
        environment.threads(),
        training.net().options(),
        training.net().isDescribedByOptions(),
        training.frozen(),
        training.options(),
        CheckpointState.Images.of(training.trainImages()),
        CheckpointState.Images.of(training.testImages()),
        training.progress());
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

  /** Where the training's images are: see {@link ImageDataset#source}. */
  public String source() {
    return state.train().source();
  }

  /**
   * The network as it was, on the CPU; the caller owns it.
   *
   * @throws ActclipException when it clips by a layer of its own, which no file knows
   */
  public Net net() {
    if (!state.describedByOptions()) {
      throw ActclipException.badInput(
          "%s is of a network that clips by a layer of its own: make that, and load its state",
          file);
    }
    Net net = new Net(state.net());
    TensorScope.run(() -> StateDict.load(net, net(content())));
    TensorScope.run(() -> freeze(net));
    return net;
  }

  private void freeze(Net net) {
    Training.thresholds(net)
        .forEach(
            (name, threshold) -> {
              if (state.frozen().contains(name) && !threshold.isFrozen()) {
                threshold.freeze();
              }
            });
  }

  /**
   * Brings a training that has not begun to where this one stood.
   *
   * @throws ActclipException bad input when it is another training; nothing was changed then. A
   *     failure when LibTorch cannot take up a state, which may have changed a part.
   */
  void restore(Training training) {
    require("network", state.net(), training.net().options());
    require(
        "description by its options",
        state.describedByOptions(),
        training.net().isDescribedByOptions());
    require("frozen thresholds", state.frozen(), training.frozen());
    require("options", state.options(), training.options());
    require("training images", state.train(), training.trainImages());
    require("test images", state.test(), training.testImages());
    warnOfOtherThreads();
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> tensors = content();
      StateDict.load(training.net(), net(tensors));
      OptimizerState.load(training.optimizer(), tensors.get(OPTIMIZER), training.device());
      if (state.device().equals(training.device().str().getString())) {
        setRandomState(training.device(), tensors.get(RANDOM));
      }
      training.restore(state.progress());
    }
  }

  private void require(String what, Object then, Object now) {
    if (!then.equals(now)) {
      throw ActclipException.badInput(
          "%s is of another training: it had the %s %s, and this one has %s",
          file, what, then, now);
    }
  }

  private void require(String what, CheckpointState.Images then, ImageDataset now) {
    if (!then.isSame(now)) {
      throw ActclipException.badInput(
          "%s is of another training: it had other %s, from %s, than those from %s",
          file, what, then.source(), now.source());
    }
  }

  private void warnOfOtherThreads() {
    int threads = torch.get_num_threads();
    if (threads != state.threads()) {
      LOG.warn(
          "The training began with {} threads and goes on with {}: its bits may differ from those of"
              + " a training without a break",
          state.threads(),
          threads);
    }
  }

  /** The caller's scope owns the tensors. */
  private Map<String, Tensor> content() {
    return SealedTensors.read(file).tensors();
  }

  private static Map<String, Tensor> net(Map<String, Tensor> tensors) {
    Map<String, Tensor> net = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) -> {
          if (name.startsWith(NET)) {
            net.put(name.substring(NET.length()), tensor);
          }
        });
    return net;
  }

  private static CheckpointState state(Path file, SealedTensors content) {
    String text = content.metadata().get(STATE);
    if (text == null) {
      throw ActclipException.badInput("%s is not a checkpoint of a training", file);
    }
    CheckpointState state =
        Json.read(text, CheckpointState.class, file + " is not a checkpoint of this version");
    Tensor random = content.tensors().get(RANDOM);
    if (!isBytes(random) || !isBytes(content.tensors().get(OPTIMIZER))) {
      throw ActclipException.badInput(
          "%s is not a checkpoint of a training: its optimizer or random state is no uint8", file);
    }
    if (state.progress().epoch() > state.options().epochs()) {
      throw ActclipException.badInput(
          "%s is not a checkpoint of a training: it is after epoch %d of %d",
          file, state.progress().epoch(), state.options().epochs());
    }
    if (state.format() > FORMAT) {
      throw ActclipException.badInput(
          "%s has the format %d, and this version of actclip reads up to %d: it was written by %s",
          file, state.format(), FORMAT, state.actclip());
    }
    return state;
  }

  private static boolean isBytes(Tensor tensor) {
    return tensor != null && tensor.dim() == 1 && tensor.scalar_type().intern() == ScalarType.Byte;
  }

  private static void setRandomState(Device device, Tensor random) {
    try {
      generator(device).set_state(random);
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e, "LibTorch's random state cannot be taken up: %s", ActclipException.firstLine(e));
    }
  }

  private static Generator generator(Device device) {
    return torch.globalContext().defaultGenerator(device);
  }
}
