package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.Net;
import io.github.actclip.report.Run;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.train.Evaluation;
import io.github.actclip.train.Evaluator;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Tests a saved network again. */
@Command(
    name = "evaluate",
    description = "Reloads a trained Net and prints its accuracy on the test images.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class EvaluateCommand implements Runnable {

  @Option(
      names = "--model",
      paramLabel = "DIR|FILE",
      required = true,
      description =
          "The folder that 'train' wrote; or the weights of a Net in a file of safetensors"
              + " (.safetensors) or of Python's torch.save (.pt, .pth, .bin): as the file describes"
              + " it, or else one that clips as by default, on pixels that are not normalised.")
  private Path model;

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
    if (Files.isRegularFile(model)) {
      NetDescription description = NetDescription.of(StateDict.readMetadata(model), model);
      test(description, model, DataOption.EMBEDDED, device);
    } else {
      RunSummary summary = RunSummary.read(model);
      NetDescription description = NetDescription.of(summary.notes(), model);
      test(description, model.resolve(Run.MODEL), summary.data(), device);
    }
  }

  private void test(NetDescription description, Path weights, String trainedWith, Device device) {
    Net net = description.load(weights);
    DataOption source =
        new DataOption(data == null ? trainedWith : data, description.net().imageSize(), false);
    Dataset images = source.load(Split.TEST);
    requireClasses(images, description.net().numClasses());
    net.to(device, false);
    Evaluation evaluation = Evaluator.evaluate(net, description.testing(images), device);
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
