package io.github.actclip.checkpoint;

import io.github.actclip.io.Json;
import io.github.actclip.io.SealedTensors;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerState;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A network, its optimizer and LibTorch's random state in a file, for a loop of one's own that goes
 * on bit for bit. Where the loop stands is the caller's to say, in texts.
 *
 * <pre>{@code
 * Snapshot.write(file, network, optimizer, Map.of("epoch", "3"));
 * int epoch = Integer.parseInt(Snapshot.restore(file, network, optimizer).get("epoch"));
 * }</pre>
 *
 * <p>The file is a safetensors file with a checksum, whole or absent at any time; the network's
 * tensors are in it as {@code net.conv1.weight} and so on.
 */
public final class Snapshot {

  private static final String NET = "net.";
  private static final String OPTIMIZER = "optimizer";
  private static final String RANDOM = "random";

  /** How the names of this library's own texts begin. */
  private static final String OURS = "actclip.";

  /** The text that names the kind of the optimizer. */
  private static final String KIND = OURS + "optimizer";

  /**
   * The texts that name the kind of the network, its device, and the thresholds that are frozen.
   */
  private static final String NETWORK = OURS + "network";

  private static final String DEVICE = OURS + "device";
  private static final String FROZEN = OURS + "frozen";

  private static final String PRESETS = "org.bytedeco.pytorch";

  private Snapshot() {}

  /**
   * Writes a file, or leaves it as it was.
   *
   * @param optimizer of the network's parameters
   * @param texts what {@link #restore} returns, under names that do not begin with "actclip."
   * @throws ActclipException bad input when a text has such a name; a failure when the file cannot
   *     be written
   */
  public static void write(
      Path file, Network network, Optimizer optimizer, Map<String, String> texts) {
    requireOpen(network, optimizer);
    for (String name : texts.keySet()) {
      if (name.startsWith(OURS)) {
        throw ActclipException.badInput(
            "the name of a text (%s) must not begin with %s", name, OURS);
      }
    }
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, String> all = new TreeMap<>(texts);
      Device device = deviceOf(network);
      all.put(KIND, kind(optimizer));
      all.put(NETWORK, network.toString());
      all.put(DEVICE, device.str().getString());
      all.put(FROZEN, Json.line(frozen(network)));
      new SealedTensors(tensors(network, optimizer, device), all).write(file);
    }
  }

  /**
   * Brings a network and its optimizer to where they stood; what was frozen then is frozen, and
   * nothing else. LibTorch's random state comes with them where the network is on the same device.
   *
   * @param network of the kind of the one that was written, on any device
   * @param optimizer made as that one was
   * @return the texts
   * @throws ActclipException bad input when the file is damaged, or of another network or
   *     optimizer; nothing was changed then. A failure when LibTorch cannot take up a state, which
   *     may have changed a part.
   */
  public static Map<String, String> restore(Path file, Network network, Optimizer optimizer) {
    requireOpen(network, optimizer);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      SealedTensors content = SealedTensors.read(file);
      requireWhole(file, content);
      Map<String, String> given = content.metadata();
      require(file, "network", given.get(NETWORK), network.toString());
      require(file, "optimizer", given.get(KIND), kind(optimizer));
      StateDict.load(network, network(content.tensors()));
      Device device = deviceOf(network);
      OptimizerState.load(optimizer, content.tensors().get(OPTIMIZER), device);
      if (device.str().getString().equals(given.get(DEVICE))) {
        restoreRandomState(content.tensors(), device);
      }
      String what = file + " has a damaged text " + FROZEN;
      freeze(network, List.of(Json.read(given.getOrDefault(FROZEN, "[]"), String[].class, what)));
      Map<String, String> texts = new TreeMap<>(given);
      texts.keySet().removeIf(name -> name.startsWith(OURS));
      return texts;
    }
  }

  private static void require(Path file, String what, String then, String now) {
    if (then == null) {
      throw ActclipException.badInput("%s is not a snapshot: it names no %s", file, what);
    }
    if (!now.equals(then)) {
      throw ActclipException.badInput(
          "%s holds the state of the %s %s, and this one is %s", file, what, then, now);
    }
  }

  /** The names of the thresholds that do not learn. */
  static List<String> frozen(Network network) {
    return network.thresholds().entrySet().stream()
        .filter(entry -> entry.getValue().isFrozen())
        .map(Map.Entry::getKey)
        .toList();
  }

  /** Those that learned go on to, too, where a network begins with all of them frozen. */
  static void freeze(Network network, Collection<String> names) {
    network
        .thresholds()
        .forEach(
            (name, threshold) -> {
              if (names.contains(name) && !threshold.isFrozen()) {
                threshold.freeze();
              } else if (!names.contains(name) && threshold.isFrozen()) {
                threshold.unfreeze();
              }
            });
  }

  private static void requireOpen(Network network, Optimizer optimizer) {
    Arguments.requireOpen("the network", network);
    Arguments.requireOpen("the optimizer", optimizer);
  }

  /** The optimizer's class in the presets, of which it may be a subclass. */
  private static String kind(Optimizer optimizer) {
    Class<?> type = optimizer.getClass();
    while (!type.getPackageName().equals(PRESETS)) {
      type = type.getSuperclass();
    }
    return type.getSimpleName();
  }

  private static Device deviceOf(Network network) {
    TensorVector parameters = network.parameters();
    return parameters.empty() ? new Device("cpu") : parameters.get(0).device();
  }

  /** All that goes on; the caller's scope owns what this makes. */
  static Map<String, Tensor> tensors(Network network, Optimizer optimizer, Device device) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    StateDict.of(network).forEach((name, tensor) -> tensors.put(NET + name, tensor));
    tensors.put(OPTIMIZER, OptimizerState.save(optimizer));
    tensors.put(RANDOM, generator(device).get_state());
    return tensors;
  }

  /**
   * Checks that there is a state of an optimizer, and a random one.
   *
   * @throws ActclipException bad input when there is not
   */
  static void requireWhole(Path file, SealedTensors content) {
    if (!isBytes(content.tensors().get(RANDOM)) || !isBytes(content.tensors().get(OPTIMIZER))) {
      throw ActclipException.badInput(
          "%s is not a checkpoint of a training: its optimizer or random state is no uint8", file);
    }
  }

  private static boolean isBytes(Tensor tensor) {
    return tensor != null && tensor.dim() == 1 && tensor.scalar_type().intern() == ScalarType.Byte;
  }

  /** The tensors of the network, by their names there. */
  static Map<String, Tensor> network(Map<String, Tensor> tensors) {
    Map<String, Tensor> network = new LinkedHashMap<>();
    tensors.forEach(
        (name, tensor) -> {
          if (name.startsWith(NET)) {
            network.put(name.substring(NET.length()), tensor);
          }
        });
    return network;
  }

  /** The state of the optimizer, for {@link OptimizerState#load}. */
  static Tensor optimizer(Map<String, Tensor> tensors) {
    return tensors.get(OPTIMIZER);
  }

  static void restoreRandomState(Map<String, Tensor> tensors, Device device) {
    try {
      generator(device).set_state(tensors.get(RANDOM));
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e, "LibTorch's random state cannot be taken up: %s", ActclipException.firstLine(e));
    }
  }

  private static Generator generator(Device device) {
    return torch.globalContext().defaultGenerator(device);
  }
}
