package io.github.actclip.samples.cli;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.train.TrainerOptions;
import java.util.function.Consumer;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options of how a network is trained. */
final class TrainerMixin {

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description =
          "Passes over the images (default: 12). With --resume, as many in all, whatever was"
              + " planned.")
  private Integer epochs;

  @Option(names = "--batch-size", paramLabel = "N", description = "Images a step (default: 128).")
  private Integer batchSize;

  @Option(
      names = "--optimizer",
      paramLabel = "NAME",
      defaultValue = "sgd",
      description = "One of sgd, adam, adamw (default: sgd).")
  private OptimizerType optimizer;

  @Option(
      names = "--lr",
      paramLabel = "RATE",
      description = "Learning rate, the peak of a cycle (default: 0.05; adam and adamw 0.002).")
  private Double learningRate;

  @Option(
      names = "--momentum",
      paramLabel = "M",
      description = "Nesterov's momentum, of sgd only (default: 0.9).")
  private Double momentum;

  @Option(
      names = "--weight-decay",
      paramLabel = "W",
      description = "On the weights (default: sgd 0.0005, adam 0, adamw 0.01).")
  private Double weightDecay;

  @Option(
      names = "--threshold-lr",
      paramLabel = "F",
      defaultValue = "1",
      description =
          "The thresholds' learning rate, as a factor on that of the weights (default: 1).")
  private double thresholdLearningRateFactor;

  @Option(
      names = "--threshold-decay",
      paramLabel = "W",
      description = "On the thresholds (default: as on the weights).")
  private Double thresholdWeightDecay;

  @Mixin private ScheduleMixin schedule;

  @Option(
      names = "--accumulate",
      paramLabel = "N",
      description = "Batches a step, whose gradients are added up (default: 1).")
  private Integer accumulation;

  @Option(
      names = "--max-grad-norm",
      paramLabel = "L",
      description = "Shortens a gradient that is longer than this (default: 0, it does not).")
  private Double maxGradNorm;

  @Option(
      names = "--precision",
      paramLabel = "NAME",
      description =
          "One of float32, bfloat16, float16 (on a GPU only); weights and thresholds are always"
              + " float32 (default: float32).")
  private Precision precision;

  @Option(
      names = "--crop-padding",
      paramLabel = "N",
      defaultValue = "0",
      description = "Moves each training image by up to so many pixels, by chance (default: 0).")
  private int cropPadding;

  @Option(
      names = "--random-crop",
      description =
          "Shows another part of each training image in each epoch, by chance, of 8 to 100 percent of"
              + " its pixels; of images in a folder for each class.")
  private boolean randomCrop;

  @Option(names = "--flip", description = "Mirrors half of the training images, by chance.")
  private boolean flip;

  @Option(
      names = "--normalize",
      description = "Brings pixels to mean 0 and deviation 1, by those of the training images.")
  private boolean normalize;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description =
          "Of the initial weights, the order of the images and their changes (default: 0).")
  private Long seed;

  TrainerOptions options() {
    TrainerOptions.Builder options =
        TrainerOptions.builder(optimizer)
            .thresholdLearningRateFactor(thresholdLearningRateFactor)
            .schedule(schedule.schedule());
    ifGiven(epochs, options::epochs);
    ifGiven(batchSize, options::batchSize);
    ifGiven(accumulation, options::accumulation);
    ifGiven(learningRate, options::learningRate);
    ifGiven(momentum, options::momentum);
    ifGiven(weightDecay, options::weightDecay);
    ifGiven(thresholdWeightDecay, options::thresholdWeightDecay);
    ifGiven(maxGradNorm, options::maxGradNorm);
    ifGiven(precision, options::precision);
    ifGiven(seed, options::seed);
    return options.build();
  }

  /** The options of a training that goes on, for as many epochs as are asked for. */
  TrainerOptions withEpochs(TrainerOptions options) {
    TrainerOptions.Builder same = options.toBuilder();
    ifGiven(epochs, same::epochs);
    return same.build();
  }

  private static <T> void ifGiven(T value, Consumer<T> option) {
    if (value != null) {
      option.accept(value);
    }
  }

  /** Whether images are cut out by chance before they are resized. */
  boolean randomCrop() {
    return randomCrop;
  }

  /** How images are changed by chance. */
  Augmentation augmentation() {
    return new Augmentation(cropPadding, flip);
  }

  /** As the training images need it, if it was asked for. */
  Normalization normalization(Dataset train) {
    return normalize ? Normalization.of(train) : Normalization.none();
  }
}
