package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.samples.benchmark.Architecture;
import io.github.actclip.train.Evaluation;
import io.github.actclip.train.Evaluator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Tests a saved network again. */
@Command(
    name = "evaluate",
    description = "Reloads a trained network and prints its accuracy on the test images.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class EvaluateCommand implements Runnable {

  @Option(
      names = "--model",
      paramLabel = "DIR|FILE|NAME",
      required = true,
      description =
          "The folder that 'train' wrote; or a network that Python's torch.jit.script saved, on"
              + " pixels that are not normalised; or weights in a file of safetensors (.safetensors)"
              + " or of Python's torch.save (.pt, .pth, .bin): of the network that the file describes, or"
              + " else of a Net that clips as by default, on pixels that are not normalised. With"
              + " --weights, the network that they are of: one of net, mlp, resnet20, resnet18,"
              + " mobilenet_v2, as Python has it, on pixels that are not normalised.")
  private String model;

  @Mixin private ModelMixin anew;

  @Option(
      names = "--data",
      paramLabel = "embedded|DIR",
      description =
          "The images, as for 'train' (default: those that it was trained with; 'embedded' for a"
              + " file).")
  private String data;

  @Mixin private MachineOptions machine;

  @Override
  public void run() {
    Device device = machine.device();
    Optional<Path> script = anew.script(model);
    if (script.isPresent()) {
      testScript(ScriptNetwork.load(script.get()).architecture(), device);
      return;
    }
    if (anew.weights() != null) {
      testWeights(anew.weights(), device);
      return;
    }
    Path path = FilePath.of(model);
    anew.requireNone(path);
    requireNoName(path);
    SavedModel saved = SavedModel.of(path);
    Network network = saved.network();
    Dataset images = saved.images(data, Split.TEST);
    requireClasses(images, saved.description().model().classes());
    test(network, images, device);
  }

  private static void requireNoName(Path path) {
    if (Architecture.isKnown(path.toString()) && !Files.exists(path)) {
      throw ActclipException.badInput(
          "--model (%s) is a network without weights: give them by --weights FILE", path);
    }
  }

  /** Weights that do not say themselves what they are of. */
  private void testWeights(Path file, Device device) {
    Architecture<?> architecture = ModelMixin.named(model);
    if (Model.isIn(StateDict.readMetadata(file))) {
      throw ActclipException.badInput(
          "%s says itself what its network is like: evaluate --model %s", file, file);
    }
    Dataset images = anew.data(data, architecture, false).load(Split.TEST);
    Network network = anew.model(architecture, images, architecture.natural()).network();
    new TrainedWeights(file).load(network);
    test(network, images, device);
  }

  /** As it is, clips and all. */
  private void testScript(Architecture<?> architecture, Device device) {
    Dataset images = anew.data(data, architecture, false).load(Split.TEST);
    Network network = anew.model(architecture, images, architecture.natural()).network();
    test(network, images, device);
  }

  private static void test(Network network, Dataset images, Device device) {
    network.to(device, false);
    Evaluation evaluation = Evaluator.evaluate(network, images, device);
    Results.printTest(evaluation.loss(), evaluation.accuracy(), images.size());
  }

  private static void requireClasses(Dataset images, int numClasses) {
    if (!images.classes().isEmpty() && images.classes().size() != numClasses) {
      throw ActclipException.badInput(
          "%s has %d classes, and the network was trained for %d",
          images.source(), images.classes().size(), numClasses);
    }
  }
}
