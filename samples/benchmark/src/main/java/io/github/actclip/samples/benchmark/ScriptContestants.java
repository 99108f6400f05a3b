package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Clips;
import io.github.actclip.nn.models.ScriptModule;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;

/**
 * A network that Python has scripted: with a learned clip for each ReLU, and as it is in its file.
 */
final class ScriptContestants {

  private static final ClipOptions CLIPS = new ClipOptions(ClipForm.RELU).initial(6);

  private final BenchmarkCase in;
  private final Path file;
  private final Device device;

  /** Belongs to the caller's scope. */
  ScriptContestants(BenchmarkCase in, Device device) {
    this.in = in;
    file = FilePath.of(in.model());
    this.device = device;
  }

  /**
   * The path of a file, as the name of what is measured.
   *
   * @throws ActclipException bad input, when that is neither a file with a network in it nor a name
   */
  static String named(String name) {
    Path file = FilePath.of(name);
    if (ScriptModule.isIn(file)) {
      return file.toString();
    }
    if (Files.exists(file)) {
      throw ActclipException.badInput(
          "--model (%s) has no network in it, as a file has that torch.jit.script(model).save(file)"
              + " wrote: name a network (%s)",
          file, Architecture.NAMES);
    }
    return Architecture.named(name).name();
  }

  /** Ours first; one alone, where the file has clips. */
  List<Contestant> all() {
    ScriptModule own = ScriptModule.load(file);
    Images images = Images.random(in.size(), Wanted.SMALL_IMAGES, classes(own), device);
    if (!own.thresholds().isEmpty()) {
      return List.of(contestant("actclip", own, images));
    }
    return List.of(
        contestant("actclip", Clips.insert(file, CLIPS), images),
        contestant("as it is", own, images));
  }

  /** Nothing in a file says how many there are. */
  private int classes(ScriptModule network) {
    network.eval(); // Running statistics stay as they are.
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor outputs = network.forward(Images.random(1, Wanted.SMALL_IMAGES, 1, device).data());
      if (outputs.dim() != 2) {
        throw ActclipException.badInput(
            "%s makes a tensor of %d dimensions of images: it must be (B, classes)",
            file, outputs.dim());
      }
      return Math.toIntExact(outputs.size(1));
    } catch (ActclipException e) {
      throw e.isBadInput()
          ? e
          : ActclipException.badInput(
              "%s cannot take images of 3×%d×%d: %s",
              file, Wanted.SMALL_IMAGES, Wanted.SMALL_IMAGES, e.getMessage());
    }
  }

  private Contestant contestant(String name, Network network, Images images) {
    return new NetworkPasses(network, images, in.precision(), device).of(in.part(), name);
  }
}
