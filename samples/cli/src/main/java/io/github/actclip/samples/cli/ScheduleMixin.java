package io.github.actclip.samples.cli;

import io.github.actclip.optim.LearningRateSchedule;
import picocli.CommandLine.Option;

/** Options that say how the learning rate changes. */
final class ScheduleMixin {

  @Option(
      names = "--schedule",
      paramLabel = "NAME",
      defaultValue = "one_cycle",
      description =
          "One of one_cycle, constant, step, cosine, reduce_on_plateau (default: one_cycle).")
  private LearningRateSchedule.Type type;

  @Option(
      names = "--warm-up",
      paramLabel = "N",
      defaultValue = "0",
      description = "Steps in which the rate first rises; not of one_cycle (default: 0).")
  private int warmUpSteps;

  @Option(
      names = "--step-size",
      paramLabel = "N",
      description = "Epochs between two drops of step (default: 4).")
  private Integer stepSize;

  @Option(
      names = "--gamma",
      paramLabel = "G",
      description = "The factor of each drop of step (default: 0.1).")
  private Double gamma;

  @Option(
      names = "--plateau-factor",
      paramLabel = "F",
      description = "The factor of each reduction of reduce_on_plateau (default: 0.1).")
  private Double factor;

  @Option(
      names = "--plateau-patience",
      paramLabel = "N",
      description =
          "Epochs without a better test loss before reduce_on_plateau reduces (default: 10).")
  private Integer patience;

  LearningRateSchedule schedule() {
    LearningRateSchedule defaults = LearningRateSchedule.of(type);
    return new LearningRateSchedule(
        type,
        warmUpSteps,
        stepSize == null ? defaults.stepSize() : stepSize,
        gamma == null ? defaults.gamma() : gamma,
        factor == null ? defaults.factor() : factor,
        patience == null ? defaults.patience() : patience);
  }
}
