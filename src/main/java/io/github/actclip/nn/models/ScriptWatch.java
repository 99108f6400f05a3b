package io.github.actclip.nn.models;

import io.github.actclip.nn.Clip;
import io.github.actclip.runtime.TensorScope;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorList;
import org.bytedeco.pytorch.TensorVector;

/**
 * Shows the clips of a module of TorchScript what comes to them, which the module itself does not:
 * by a copy of it that shares its tensors, and notes what its clips get.
 */
final class ScriptWatch {

  private final Script script;
  private final Module network;

  /** Of each call of a clip the threshold and the activations, one after the other. */
  private final TensorList seen;

  /**
   * Copies a module, which stays as it is.
   *
   * @param twins by their paths; the first is the network
   */
  ScriptWatch(JitModule module, Map<String, Module> twins) {
    network = twins.get("");
    try (TensorScope scope = new TensorScope()) {
      JitModule copy = module.clone(true);
      List<JitModule> clips =
          ScriptGraphs.modules(copy).values().stream().filter(ScriptClip::isClip).toList();
      seen = scope.keep(ScriptClip.watch(clips));
      script = new Script(copy, twins);
    }
  }

  /**
   * Computes the output, and shows some clips what comes to each of them first. Where that moves a
   * clip's threshold, as in calibration, all runs again: those behind it are to see what it lets
   * through now. Running statistics count the last run only.
   *
   * @return the caller's scope owns it
   */
  synchronized Tensor run(Tensor x, List<Clip> clips) {
    Set<Clip> looking = new LinkedHashSet<>(clips);
    try (TensorScope scope = new TensorScope()) {
      List<Tensor> before = GradMode.is_enabled() ? List.of() : copiesOfBuffers();
      Tensor y = script.run(x);
      while (moveOne(looking)) {
        restoreBuffers(before);
        seen.clear();
        y = script.run(x);
      }
      return scope.pass(y);
    } finally {
      seen.clear();
    }
  }

  /** Shows clips what came to them, until one moves; those that were shown it are taken out. */
  private boolean moveOne(Set<Clip> looking) {
    for (long i = 0; i < seen.size() && !looking.isEmpty(); i += 2) {
      Tensor max = new Tensor(seen.get(i)); // a handle, as the list is cleared
      Optional<Clip> found =
          looking.stream()
              .filter(clip -> clip.thresholds().get(0).parameter().is_same(max))
              .findFirst();
      if (found.isPresent()) {
        long version = max._version();
        looking.remove(found.get());
        found.get().look(new Tensor(seen.get(i + 1)));
        if (max._version() != version) {
          return true;
        }
      }
    }
    return false;
  }

  private List<Tensor> copiesOfBuffers() {
    TensorVector buffers = network.buffers();
    return LongStream.range(0, buffers.size()).mapToObj(i -> buffers.get(i).clone()).toList();
  }

  private void restoreBuffers(List<Tensor> before) {
    TensorVector buffers = network.buffers();
    for (int i = 0; i < before.size(); i++) {
      buffers.get(i).copy_(before.get(i));
    }
  }
}
