package io.github.actclip.nn;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SharedModuleVector;
import org.bytedeco.pytorch.StringSharedModuleDict;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.MemoryFormat;

/**
 * The base class of a network: a {@code torch::nn::Module} that keeps its children alive and knows
 * the thresholds in it.
 *
 * <pre>{@code
 * final class Classifier extends Network {
 *   private final Conv2dImpl conv =
 *       register("conv", new Conv2dImpl(new Conv2dOptions(3, 32, new LongPointer(3, 3))));
 *   private final BatchNorm2dImpl bn = register("bn", new BatchNorm2dImpl(new BatchNormOptions(32)));
 *   private final Clip clip = register("clip", new Clip(new ClipOptions(ClipForm.RELU)));
 *   private final LinearImpl head = register("head", new LinearImpl(32, 5));
 *
 *   public Tensor forward(Tensor x) {
 *     x = clip.forward(bn.forward(conv.forward(x)));
 *     return head.forward(torch.adaptive_avg_pool2d(x, 1).flatten(1, -1));
 *   }
 * }
 * }</pre>
 *
 * <p>{@link LibTorch#load} (or {@code Devices.auto()}) comes first: the initialiser of {@link
 * Module} loads LibTorch, too, but does not survive a cold cache beside another libtorch.
 *
 * <p>Make it outside of a {@link TensorScope}, which would close it. Several threads may call
 * {@link #forward} at once as long as that is so of what it calls, and nobody changes the network.
 */
public abstract class Network extends Module {

  private static final int DIMENSIONS_OF_IMAGES = 4;

  /** By name. JavaCPP frees some kinds of modules with their Java object, parent or not. */
  private final Map<String, Module> children = new LinkedHashMap<>();

  /** An empty network on the CPU. */
  protected Network() {
    LibTorch.load(); // Module's own initialiser may have loaded it, but did not size its pools.
  }

  /**
   * By which a checkpoint tells this network from one that it cannot go on with, besides the names
   * and shapes of its tensors: the name of its class. Override it where a network is made with
   * options that these do not show.
   */
  @Override
  public String toString() {
    return kind();
  }

  /** The name of its class, for a person to read. */
  public final String kind() {
    String name = getClass().getName();
    return name.substring(name.lastIndexOf('.') + 1).replaceFirst("^.*\\$(?=\\D)", "");
  }

  /**
   * Computes the output.
   *
   * @param x as the network takes it, the samples along dimension 0
   * @return the caller's scope owns it
   */
  public abstract Tensor forward(Tensor x);

  /**
   * Says what {@link #forward} computes outside of training, layer by layer, for an export.
   * Override it in a network that is to be exported.
   *
   * @param x stands for what {@link #forward} is given
   * @return what stands for its output
   * @throws ActclipException bad input, unless it was overridden
   */
  public <V> V describe(LayerGraph<V> graph, V x) {
    throw ActclipException.badInput(
        "%s does not say what it computes: override describe(LayerGraph, V) in its class", kind());
  }

  /**
   * Makes a module a part of this network, under a name in its state dict. The network keeps it
   * alive from here on, also beyond the end of a scope that is open now: it is freed when the
   * garbage collector has found the network.
   *
   * <p>A module that is registered here cannot be freed under the network; one that is registered
   * with a plain module of the presets (a {@code SequentialImpl}, say) can be: {@code
   * BatchNorm2dImpl}, {@code DropoutImpl}, {@code MaxPool2dImpl} and others are, as soon as no Java
   * object refers to them. Register those here, or with a {@code Network} that is registered here.
   *
   * @param name without a dot
   * @return {@code child}
   * @throws ActclipException bad input, when the name is null, taken, empty or has a dot, or when
   *     the child is null, closed, this network itself, or holds it
   */
  protected final <M extends Module> M register(String name, M child) {
    Arguments.requireOpen("the module " + name, child);
    if (name == null || name.isEmpty() || name.contains(".")) {
      throw ActclipException.badInput(
          "the name of a module (%s) must have a letter at least, and no dot", name);
    }
    if (holdsThis(child)) { // Whoever went through the modules then would come to no end.
      throw refusal(name, child, "it is, or holds, this network itself");
    }
    if (isTaken(name)) {
      throw refusal(name, child, "the network has one of that name");
    }
    children.put(name, child);
    child.retainReference(); // or the scope that it was made in would close it
    return register_module(name, child);
  }

  private static ActclipException refusal(String name, Module child, String reason) {
    return ActclipException.badInput(
        "%s cannot be registered as %s: %s", child.getClass().getSimpleName(), name, reason);
  }

  private boolean holdsThis(Module child) {
    if (child == this) {
      return true;
    }
    try (SharedModuleVector below = child.modules(false)) {
      return LongStream.range(0, below.size()).anyMatch(i -> below.get(i).address() == address());
    }
  }

  /** Also by a module that was not registered here, a parameter or a buffer. */
  private boolean isTaken(String name) {
    try (StringSharedModuleDict modules = named_children();
        StringTensorDict parameters = named_parameters(false);
        StringTensorDict buffers = named_buffers(false)) {
      return modules.contains(name) || parameters.contains(name) || buffers.contains(name);
    }
  }

  /**
   * The thresholds in this network and in all modules below it, whatever their classes are, by
   * their names in the state dict, such as {@code layer1.clip.max}, in its order. One that has
   * several names, because its layer is registered twice, is there once, by the first.
   */
  public final Map<String, Threshold> thresholds() {
    Arguments.requireOpen("the network", this);
    Map<String, Threshold> thresholds = new LinkedHashMap<>();
    try (StringTensorDict parameters = named_parameters()) {
      for (long i = 0; i < parameters.size(); i++) {
        StringTensorDictItem item = parameters.get(i);
        Threshold.of(item.value())
            .filter(threshold -> !thresholds.containsValue(threshold))
            .ifPresent(threshold -> thresholds.put(name(item), threshold));
      }
    }
    return Collections.unmodifiableMap(thresholds);
  }

  private static String name(StringTensorDictItem item) {
    try (var name = item.key()) {
      return name.getString(StandardCharsets.UTF_8);
    }
  }

  /**
   * Every parameter once, in the order of registration. (LibTorch's own list has a parameter twice
   * that has two names, and its optimizers then step it twice.)
   */
  @Override
  public TensorVector parameters() {
    return distinct(super.parameters());
  }

  /**
   * The parameters of this network, and, where that is asked for, those of the modules in it;
   * likewise each once.
   */
  @Override
  public TensorVector parameters(boolean recurse) {
    return distinct(super.parameters(recurse));
  }

  /**
   * Each of some parameters once, in their order.
   *
   * @return the caller's scope owns it
   * @throws ActclipException bad input, when the list, or a tensor in it, is not there
   */
  public static TensorVector distinct(TensorVector parameters) {
    Arguments.requireOpen("the parameters", parameters);
    TensorVector distinct = new TensorVector();
    Set<Long> seen = new HashSet<>();
    for (long i = 0; i < parameters.size(); i++) {
      Tensor parameter = parameters.get(i);
      Arguments.requireTensor("parameter " + i, parameter);
      if (seen.add(parameter.unsafeGetTensorImpl().address())) {
        distinct.push_back(parameter);
      }
    }
    return distinct;
  }

  /**
   * Puts the weights of all convolutions into the channels-last memory format, in which oneDNN is
   * fastest; activations take it over from the first convolution on. The values stay the same.
   */
  public final void toChannelsLast() {
    TensorScope.run(
        () -> {
          TensorVector parameters = parameters();
          for (long i = 0; i < parameters.size(); i++) {
            Tensor parameter = parameters.get(i);
            if (parameter.dim() == DIMENSIONS_OF_IMAGES) {
              parameter.set_data(parameter.contiguous(MemoryFormat.ChannelsLast));
            }
          }
        });
  }

  /**
   * Sets the thresholds of all layers from data, as a start for training, in the order in which
   * {@link #forward} comes to them: each by the activations that those before it let through, as
   * they are set by then. A layer that {@link #forward} uses several times is set by what comes to
   * it first, and by that alone. The network is in the mode it is in; in training mode, batch
   * normalisation counts this pass.
   *
   * @param x as {@link #forward} takes it; it is not changed
   * @throws ActclipException as {@link ThresholdLayer#calibrate} does; the layers before that one
   *     are set then
   */
  public final void calibrate(Tensor x, Calibration calibration) {
    Arguments.requireTensor("the data to calibrate from", x);
    Map<String, Threshold> thresholds = thresholds();
    observe(x, (name, input) -> thresholds.get(name).layer().calibrate(input, calibration));
  }

  /**
   * Sets the quantizers of weights from the weights as they are now, by {@link Calibration#MSE}.
   *
   * @throws ActclipException as {@link ThresholdLayer#calibrate} does
   */
  public final void calibrateWeights() {
    thresholds().values().stream()
        .map(Threshold::layer)
        .distinct()
        .forEach(ThresholdLayer::calibrateWeight);
  }

  /**
   * What the threshold layers see of some data, all of it, with the gradients as they are now.
   *
   * @param x as {@link #forward} takes it
   * @return by the names of the layers' first thresholds, in the order of {@link #forward}
   */
  public final Map<String, ActivationStatistics> observe(Tensor x) {
    Map<String, Threshold> thresholds = thresholds();
    Map<String, ActivationStatistics> seen = new LinkedHashMap<>();
    observe(x, (name, input) -> seen.put(name, thresholds.get(name).layer().statistics(input)));
    return Collections.unmodifiableMap(seen);
  }

  /**
   * Shows what comes to the threshold layers in one forward pass without a gradient, before they
   * limit it; of a layer that is used several times, what comes first. Blocks go their plain way
   * meanwhile. The network is in the mode it is in; in training mode, batch normalisation counts
   * this pass. Nobody else may use the network at the same time.
   *
   * @param x as {@link #forward} takes it
   * @param viewer gets the name of the layer's first threshold, and its input, which is freed at
   *     the end of the pass: keep a {@code clone()} of what is to outlive it
   */
  public final void observe(Tensor x, BiConsumer<String, Tensor> viewer) {
    Arguments.requireTensor("the data to observe", x);
    Map<ThresholdLayer, String> layers = new LinkedHashMap<>();
    thresholds().forEach((name, threshold) -> layers.putIfAbsent(threshold.layer(), name));
    layers.forEach((layer, name) -> layer.showNext(input -> viewer.accept(name, input)));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      ActclipException.inOneSentence(
          () -> "the network " + this + " fails on data of shape " + Arrays.toString(x.shape()),
          () -> forward(x));
    } finally {
      layers.keySet().forEach(ThresholdLayer::stopShowing);
    }
  }

  /** Calls {@link ThresholdLayer#setObserved} of all layers. */
  public final void setObserved(boolean observed) {
    thresholds().values().forEach(threshold -> threshold.layer().setObserved(observed));
  }
}
