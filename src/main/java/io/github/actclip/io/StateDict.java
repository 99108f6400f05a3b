package io.github.actclip.io;

import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorMeaning;
import io.github.actclip.runtime.TensorScope;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.Tensor;

/**
 * The parameters and buffers of a module under the names that they have in Python, such as {@code
 * conv1.weight}; into and out of modules, and files.
 *
 * <p>Methods may be called from any thread, as long as no other one changes the module.
 */
public final class StateDict {

  private static final String SAFETENSORS = ".safetensors";
  private static final List<String> PYTORCH = List.of(".pt", ".pth", ".bin");

  // Hugging Face's libraries want to know whose tensors a safetensors file holds.
  private static final Map<String, String> FOR_PYTORCH = Map.of("format", "pt");

  private StateDict() {}

  /**
   * Lists the tensors of a module and of the modules in it: parameters, then buffers, in the order
   * of their registration.
   *
   * @return handles of the module's own tensors (the same value, gradient and {@code
   *     requires_grad}, no copy); the caller, or the caller's open {@link TensorScope}, owns the
   *     handles, and closing them leaves the module whole
   */
  public static Map<String, Tensor> of(Module module) {
    Arguments.requireOpen("the module", module);
    Map<String, Tensor> state = new LinkedHashMap<>();
    try (StringTensorDict parameters = module.named_parameters();
        StringTensorDict buffers = module.named_buffers()) {
      addHandles(state, parameters);
      addHandles(state, buffers);
    }
    return state;
  }

  /**
   * Copies values into the tensors of a module, in place, converting device and dtype; strict, as
   * {@code load_state_dict} is in Python by default.
   *
   * @param state exactly the names of {@link #of}, each with the module's shape and, where both
   *     have one, {@link TensorMeaning}; it stays the caller's
   * @throws ActclipException bad input with the first missing, unexpected and wrongly shaped names
   *     and those of another meaning, and how many there are, before anything is changed; a failure
   *     when LibTorch cannot copy a value
   */
  public static void load(Module module, Map<String, Tensor> state) {
    load(module, state, true);
  }

  /**
   * Copies values into the tensors of a module, in place, converting device and dtype.
   *
   * @param state values by the names of {@link #of}; it stays the caller's
   * @param strict whether to refuse a state that does not fit altogether; otherwise what fits is
   *     copied, and the rest of the module stays as it is
   * @return what did not fit; empty when strict
   * @throws ActclipException when strict, bad input with the first missing, unexpected and wrongly
   *     shaped names and those of another meaning, and how many there are, before anything is
   *     changed; a failure when LibTorch cannot copy a value
   */
  public static IncompatibleKeys load(Module module, Map<String, Tensor> state, boolean strict) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return load(of(module), state, strict);
    }
  }

  /**
   * Copies weights that were trained elsewhere, such as by Python's PyTorch, into a network, in
   * place, converting device and dtype: strict as {@link #load(Module, Map)} is, but
   *
   * <ul>
   *   <li>thresholds that the state has no value for stay as they are, for {@code
   *       network.calibrate} to set from data; those of quantized weights start from the weights;
   *   <li>thresholds of the state that mean something else than the network's, such as those of
   *       clips where it quantizes, count as no value;
   *   <li>{@code num_batches_tracked} of a batch normalisation, which old files do without, may be
   *       missing, and then stays as it is;
   *   <li>where all names begin with {@code module.}, as in files of {@code
   *       DistributedDataParallel}, they are taken without it.
   * </ul>
   *
   * @param state values by the names of {@link #of}; it stays the caller's
   * @return the names of the thresholds that the state has no value for, in their order
   * @throws ActclipException as {@link #load(Module, Map)} does, before anything is changed; and as
   *     {@link Network#calibrateWeights} does, after
   */
  public static List<String> loadWeights(Network network, Map<String, Tensor> state) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Map<String, Tensor> own = of(network);
      Map<String, Tensor> given = new LinkedHashMap<>(WeightNames.asIn(own, state));
      given.entrySet().removeIf(one -> isOfNoThreshold(one, own));
      List<String> missing =
          own.keySet().stream().filter(name -> !given.containsKey(name)).toList();
      // What says what it means is a threshold.
      Predicate<String> isThreshold = name -> TensorMeaning.of(own.get(name)).isPresent();
      List<String> thresholds = missing.stream().filter(isThreshold).toList();
      Map<String, Tensor> wanted = new LinkedHashMap<>(own);
      wanted.keySet().removeAll(thresholds);
      wanted.keySet().removeIf(name -> missing.contains(name) && WeightNames.mayBeMissing(name));
      load(wanted, given, true);
      network.calibrateWeights();
      load(wanted, given, true); // again, for those thresholds of weights that it has
      return thresholds;
    }
  }

  /** Whether it says what it means, and the network has no threshold of that meaning there. */
  private static boolean isOfNoThreshold(Map.Entry<String, Tensor> given, Map<String, Tensor> own) {
    Optional<String> meaning =
        Optional.ofNullable(given.getValue())
            .filter(Arguments::isTensor)
            .flatMap(TensorMeaning::of);
    Optional<Tensor> there = Optional.ofNullable(own.get(given.getKey()));
    return meaning.isPresent() && !meaning.equals(there.flatMap(TensorMeaning::of));
  }

  private static IncompatibleKeys load(
      Map<String, Tensor> own, Map<String, Tensor> state, boolean strict) {
    IncompatibleKeys incompatible = IncompatibleKeys.between(own, state);
    if (strict && !incompatible.isEmpty()) {
      throw ActclipException.badInput(
          "The state does not fit the module: %s%s", incompatible, WeightNames.hint(own, state));
    }
    own.keySet().stream()
        .filter(incompatible::fits)
        .forEach(name -> requireStrided(name, state.get(name)));
    own.forEach(
        (name, tensor) -> {
          if (incompatible.fits(name)) {
            copy(name, state.get(name), tensor);
          }
        });
    return incompatible;
  }

  /**
   * Writes a state to a file, or leaves the file as it was. The suffix of its name says the format:
   * {@code .safetensors}; or {@code .pt}, {@code .pth} or {@code .bin} for what Python reads with
   * {@code torch.load(file)}, also with {@code weights_only=True}. The same values give the same
   * bytes.
   *
   * <p>The {@link TensorMeaning} of a tensor, such as a threshold's, is written beside it.
   *
   * @param state of any shape, strides and device, with the dtypes of {@link Safetensors}; it stays
   *     the caller's
   * @throws ActclipException bad input for another suffix, and for a dtype or layout that cannot be
   *     stored; a failure when the file cannot be written
   */
  public static void write(Path file, Map<String, Tensor> state) {
    write(file, state, Map.of());
  }

  /**
   * Writes a state to a file, as {@link #write(Path, Map)} does, and texts beside it.
   *
   * @param metadata what {@link #readMetadata} finds again
   * @throws ActclipException likewise
   */
  public static void write(Path file, Map<String, Tensor> state, Map<String, String> metadata) {
    if (isSafetensors(file)) {
      Map<String, String> texts = new LinkedHashMap<>(FOR_PYTORCH);
      texts.putAll(metadata);
      Safetensors.write(file, state, texts);
    } else {
      PyTorchFileWriter.write(file, state, metadata);
    }
  }

  /**
   * Reads the texts beside a state, those that this library adds itself included.
   *
   * @return empty when there are none
   * @throws ActclipException as {@link #read} does
   */
  public static Map<String, String> readMetadata(Path file) {
    return isSafetensors(file) ? Safetensors.readMetadata(file) : PyTorchFile.readTexts(file);
  }

  /**
   * Reads a state from a file; the suffix says the format, as for {@link #write}.
   *
   * <p>Of PyTorch's files, those are read that Python's {@code torch.save} made, in PyTorch 1.6 or
   * newer, of a module's {@code state_dict()} or of any dict of tensors or parameters. No code in
   * them is run.
   *
   * @return tensors on the CPU, without gradients, in the file's order; from PyTorch's files with
   *     the strides that they were saved with, and sharing memory where they did; the caller, or
   *     the caller's open {@link TensorScope}, owns them
   * @throws ActclipException bad input for another suffix, and when the file is missing, damaged or
   *     holds anything but tensors; a failure when it cannot be read or does not fit in memory;
   *     either way no tensor is left behind
   */
  public static Map<String, Tensor> read(Path file) {
    LibTorch.load();
    return isSafetensors(file) ? Safetensors.read(file) : PyTorchFile.read(file);
  }

  private static boolean isSafetensors(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(SAFETENSORS)) {
      return true;
    }
    if (PYTORCH.stream().anyMatch(name::endsWith)) {
      return false;
    }
    throw ActclipException.badInput(
        "%s must end in %s, or for PyTorch's own format in one of %s", file, SAFETENSORS, PYTORCH);
  }

  private static void requireStrided(String name, Tensor value) {
    Arguments.requireStrided("tensor " + TensorInfo.quoted(name), value, "a module");
  }

  private static void copy(String name, Tensor from, Tensor to) {
    try {
      to.copy_(from);
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e,
          "Tensor %s cannot be copied into the module: %s",
          TensorInfo.quoted(name),
          ActclipException.firstLine(e));
    }
  }

  private static void addHandles(Map<String, Tensor> state, StringTensorDict named) {
    for (long i = 0; i < named.size(); i++) {
      StringTensorDictItem item = named.get(i);
      // Undefined: an optional buffer that this module does without.
      if (item.value().defined()) {
        try (var name = item.key()) {
          state.put(name.getString(StandardCharsets.UTF_8), new Tensor(item.value()));
        }
      }
    }
  }
}
