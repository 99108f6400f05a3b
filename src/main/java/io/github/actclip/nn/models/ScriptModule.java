package io.github.actclip.nn.models;

import io.github.actclip.nn.Clip;
import io.github.actclip.nn.LayerGraph;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.ClassType;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringSharedModuleDict;
import org.bytedeco.pytorch.Tensor;

/**
 * A network that Python has scripted ({@code torch.jit.script}), with a learned clip for each of
 * its rectifiers where {@link Clips} put them: trained, checkpointed and calibrated as every other
 * network, saved, and loaded in Python again.
 *
 * <p>Parameters and buffers have their names in the file. A clip is called {@code clip0}, {@code
 * clip1} and so on in the module whose code calls the rectifier, and its threshold {@code
 * layer1.0.clip0.max}. All other modules are plain {@link Module}s here, which have names, tensors
 * and modes, and compute nothing.
 *
 * <p>Code in the file runs as it is written there: load files that you trust. Make the network
 * outside of a {@link TensorScope}, which would close it. In evaluation mode several threads may
 * run the forward pass at once as long as nobody changes the network.
 */
public final class ScriptModule extends Network {

  static final String TRAINING = "training";

  private final String name;
  private final List<Clip> clips = new ArrayList<>();

  /** By their paths; the first is this network. They live as long as it. */
  private final Map<String, Module> modules = new LinkedHashMap<>();

  private final Script script;
  private ScriptWatch watch;

  /** Takes over a module that was checked. */
  ScriptModule(JitModule module) {
    name = ScriptGraphs.simpleName(module.type());
    Map<Long, Module> known = new HashMap<>(); // by address: one may be there by several names
    TensorScope.run(
        () -> ScriptGraphs.modules(module).forEach((path, part) -> add(path, part, known)));
    script = new Script(module, modules);
  }

  private void add(String path, JitModule part, Map<Long, Module> known) {
    Module module = known.computeIfAbsent(part._ivalue().address(), address -> make(path, part));
    modules.put(path, module);
    if (!path.isEmpty()) {
      int dot = path.lastIndexOf('.');
      registerOnce(
          modules.get(path.substring(0, Math.max(dot, 0))), path.substring(dot + 1), module);
    }
  }

  private Module make(String path, JitModule part) {
    Module module = path.isEmpty() ? this : child(part);
    if (!ScriptClip.isClip(part)) {
      registerTensors(module, part);
    }
    module.train(part.is_training());
    return module;
  }

  private Module child(JitModule part) {
    Module module;
    if (ScriptClip.isClip(part)) {
      Clip clip = ScriptClip.layer(part);
      clips.add(clip);
      module = clip;
    } else {
      module = new Module(ScriptGraphs.simpleName(part.type()));
    }
    module.retainReference(); // or the scope that is open would close it
    return module;
  }

  private static void registerTensors(Module module, JitModule part) {
    ClassType type = part.type();
    ScriptGraphs.attributes(part)
        .forEach(
            (name, value) -> {
              if (value.isTensor() && value.toTensor().defined()) {
                Tensor tensor = value.toTensor();
                if (type.is_parameter(type.getAttributeSlot(name))) {
                  module.register_parameter(name, tensor, tensor.requires_grad());
                } else {
                  module.register_buffer(name, tensor);
                }
              }
            });
  }

  private static void registerOnce(Module parent, String name, Module child) {
    try (StringSharedModuleDict children = parent.named_children()) {
      if (!children.contains(name)) {
        parent.register_module(name, child);
      }
    }
  }

  /**
   * Loads a file that Python's {@code torch.jit.script(model).save(file)} wrote, or {@link #save}:
   * as it is, with the clips that are in it.
   *
   * @return on the CPU, in the mode in which it was saved
   * @throws ActclipException bad input, naming the file, when it is missing, damaged or no file of
   *     TorchScript, when it needs operators that LibTorch does not have, when what it holds was
   *     traced or frozen, and when that makes anything but one tensor of one
   */
  public static ScriptModule load(Path file) {
    return new ScriptModule(ScriptFile.load(file));
  }

  /**
   * Tells files of TorchScript from all others, such as state dicts, which have the same suffixes;
   * whether {@link #load} takes one is another question.
   *
   * @return false where no file is, too, and for one that is cut short
   * @throws ActclipException a failure, naming the file, when it cannot be read
   */
  public static boolean isIn(Path file) {
    return Files.isRegularFile(file) && ScriptFile.isScript(file);
  }

  /**
   * Writes the network as it is, clips included, for {@link #load} and for Python's {@code
   * torch.jit.load}, which runs it without this library. The file holds the weights alone: {@code
   * Run} and checkpoints keep what a training needs to go on.
   *
   * @throws ActclipException a failure, naming the file, when it cannot be written; what was there
   *     before is there then
   */
  public void save(Path file) {
    Arguments.requireOpen("the network", this);
    ScriptFile.save(script.module(), file);
  }

  /**
   * Computes the output.
   *
   * @param x as the network takes it in Python, of its dtype and on its device
   * @return the caller's scope owns it
   * @throws ActclipException bad input, when the network was closed, or there is no tensor; a
   *     failure, with TorchScript's reason, when the network cannot compute it
   */
  @Override
  public Tensor forward(Tensor x) {
    Arguments.requireOpen("the network", this);
    Arguments.requireTensor("the input", x);
    List<Clip> looking = clips.stream().filter(Clip::isLooking).toList();
    return looking.isEmpty() ? script.run(x) : watch().run(x, looking);
  }

  /**
   * Refuses: what it computes is said in TorchScript alone.
   *
   * @throws ActclipException bad input, always
   */
  @Override
  public <V> V describe(LayerGraph<V> graph, V x) {
    throw ActclipException.badInput(
        "%s is a network of TorchScript, of which nothing is known layer by layer: write it by its"
            + " save method, and export that in Python by torch.onnx.export",
        this);
  }

  private synchronized ScriptWatch watch() {
    if (watch == null) {
      watch = new ScriptWatch(script.module(), modules);
    }
    return watch;
  }

  @Override
  public String toString() {
    return kind() + " of " + name;
  }
}
