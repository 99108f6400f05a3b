package io.github.actclip.samples.cli;

import io.github.actclip.infer.Prediction;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.infer.Sample;
import io.github.actclip.io.Json;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Says what images show. */
@Command(
    name = "predict",
    description =
        "Prints for each image its file, what a trained network takes it for, and with which"
            + " probability. An image that cannot be read is said on standard error, and the others"
            + " go on.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class PredictCommand implements Runnable {

  private static final int BATCH_SIZE = 64;

  @Option(
      names = "--model",
      paramLabel = "DIR|FILE",
      required = true,
      description =
          "The folder that 'train' wrote, or weights in a file, as for 'evaluate'. Images are"
              + " resized, turned to grey and normalised as in its training.")
  private Path model;

  @Parameters(
      paramLabel = "IMAGE",
      arity = "1..*",
      description = "Files of images: PNG, JPEG, WebP, TIFF, BMP, GIF.")
  private List<Path> images;

  @Option(
      names = "--top",
      paramLabel = "N",
      defaultValue = "1",
      description = "So many classes, the most probable first (default: 1).")
  private int top;

  @Option(names = "--json", description = "Print an object of JSON a line.")
  private boolean json;

  @Mixin private MachineOptions machine;

  /**
   * A line of JSON.
   *
   * @param top the most probable first
   */
  record Line(String file, List<Prediction.Ranked> top) {}

  @Override
  public void run() {
    if (top < 1) {
      throw ActclipException.badInput("--top (%d) must be at least 1", top);
    }
    List<ActclipException> failures = new ArrayList<>();
    try (Device device = machine.device();
        Predictor predictor =
            TrainedModel.of(model)
                .predictor(
                    PredictorOptions.builder()
                        .device(device.str().getString())
                        .workers(1)
                        .threads(LibTorch.threads())
                        .largestBatch(BATCH_SIZE)
                        .warmUp())) {
      for (int from = 0; from < images.size(); from += BATCH_SIZE) {
        print(
            predictor, images.subList(from, Math.min(from + BATCH_SIZE, images.size())), failures);
      }
    }
    if (!failures.isEmpty()) {
      failures.subList(1, failures.size()).forEach(e -> Main.say(e.getMessage()));
      throw failures.get(0);
    }
  }

  private void print(Predictor predictor, List<Path> files, List<ActclipException> failures) {
    List<Path> read = new ArrayList<>();
    List<Sample> samples = new ArrayList<>();
    for (Path file : files) {
      try {
        samples.add(predictor.sample(file));
        read.add(file);
      } catch (ActclipException e) {
        failures.add(e);
      }
    }
    List<Prediction> predictions = predictor.predictAll(samples);
    for (int i = 0; i < read.size(); i++) {
      print(read.get(i), predictions.get(i).top(top));
    }
  }

  private void print(Path file, List<Prediction.Ranked> ranked) {
    if (json) {
      System.out.println(Json.line(new Line(file.toString(), ranked)));
      return;
    }
    Results.print(
        file.toString(),
        ranked.stream()
            .map(one -> String.format(Locale.ROOT, "%s %.4f", one.label(), one.probability()))
            .collect(Collectors.joining(", ")));
  }
}
