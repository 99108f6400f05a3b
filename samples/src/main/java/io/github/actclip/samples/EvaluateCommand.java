package io.github.actclip.samples;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.Net;
import io.github.actclip.train.Evaluation;
import io.github.actclip.train.Evaluator;
import io.github.actclip.train.RunDirectory;
import io.github.actclip.train.RunSummary;
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
      paramLabel = "DIR",
      required = true,
      description = "The folder that 'train' wrote.")
  private Path model;

  @Option(
      names = "--data",
      paramLabel = "embedded|DIR",
      description = "The images, as for 'train' (default: those that it was trained with).")
  private String data;

  @Mixin private MachineOptions machine;

  @Override
  public void run() {
    Device device = machine.device();
    RunDirectory directory = RunDirectory.open(model);
    RunSummary summary = directory.loadSummary();
    String source = data == null ? summary.data() : data;
    ImageDataset test = new DataOption(source).load(Split.TEST);
    Net net = directory.loadNet();
    net.to(device, false);
    Evaluation evaluation =
        Evaluator.evaluate(net, test, summary.options().normalization(), device);
    Results.printTest(evaluation.loss(), evaluation.accuracy(), test.size());
  }
}
