package io.github.actclip.train;

import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.optim.LearningRateSchedule;
import io.github.actclip.optim.OptimizerConfig;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Arguments;
import java.util.Objects;
import org.bytedeco.pytorch.Device;

/**
 * How a {@link Trainer} trains.
 *
 * <pre>{@code
 * TrainerOptions options =
 *     TrainerOptions.builder(OptimizerType.SGD).epochs(30).precision(Precision.BFLOAT16).build();
 * }</pre>
 *
 * @param epochs how often it goes through the samples, at least 1
 * @param batchSize samples a batch, at least 1
 * @param accumulation batches a step, at least 1; the gradient is that of all their samples at once
 * @param optimizer what the optimizer is made with
 * @param schedule how the learning rate changes
 * @param maxGradNorm at least 0; a gradient that is longer, all parameters' taken as one vector, is
 *     shortened to that length (arXiv 1211.5063, algorithm 1); 0 for no such limit
 * @param precision in what forward and backward compute
 * @param seed of the order of the samples, and of what transforms leave to chance
 */
public record TrainerOptions(
    int epochs,
    int batchSize,
    int accumulation,
    OptimizerConfig optimizer,
    LearningRateSchedule schedule,
    double maxGradNorm,
    Precision precision,
    long seed) {

  /**
   * Checks the values.
   *
   * @throws ActclipException naming the first that is out of range
   */
  public TrainerOptions {
    requirePositive("epochs", epochs);
    requirePositive("batchSize", batchSize);
    requirePositive("accumulation", accumulation);
    Objects.requireNonNull(optimizer, "optimizer");
    Objects.requireNonNull(schedule, "schedule");
    Arguments.requireNotNegative("maxGradNorm", maxGradNorm);
    Objects.requireNonNull(precision, "precision");
  }

  /** What suits {@code Net} with this optimizer: 12 epochs of batches of 128, one cycle, seed 0. */
  public static TrainerOptions defaults(OptimizerType optimizer) {
    return builder(optimizer).build();
  }

  /** Starts with {@link #defaults}. */
  public static Builder builder(OptimizerType optimizer) {
    return new Builder(optimizer);
  }

  /**
   * Starts with these. Where the thresholds decay as the weights do, they go on to: {@link
   * Builder#weightDecay} is then of both.
   */
  public Builder toBuilder() {
    return new Builder(this);
  }

  /**
   * The same, but for the thresholds.
   *
   * @throws ActclipException when a value is out of range
   */
  public TrainerOptions withThresholds(double learningRateFactor, double decay) {
    return toBuilder()
        .thresholdLearningRateFactor(learningRateFactor)
        .thresholdWeightDecay(decay)
        .build();
  }

  /**
   * The batches of a training: shuffled by the seed.
   *
   * @param device where the batches will be; not kept
   */
  public DataLoader loader(Dataset train, Device device) {
    return DataLoader.shuffled(train, batchSize, seed, device);
  }

  /** How many steps a training on so many samples does in an epoch. */
  public long stepsPerEpoch(int samples) {
    long batches = ((long) samples + batchSize - 1) / batchSize;
    return (batches + accumulation - 1) / accumulation;
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw ActclipException.badInput("%s (%d) must be at least 1", name, value);
    }
  }

  /** Sets options by name; {@link #build} checks them. */
  public static final class Builder {

    private final OptimizerType optimizer;
    private int epochs = 12;
    private int batchSize = 128;
    private int accumulation = 1;
    private double learningRate;
    private double momentum;
    private double weightDecay;
    private double thresholdLearningRateFactor = 1;
    private Double thresholdWeightDecay;
    private LearningRateSchedule schedule =
        LearningRateSchedule.of(LearningRateSchedule.Type.ONE_CYCLE);
    private double maxGradNorm;
    private Precision precision = Precision.FLOAT32;
    private long seed;

    private Builder(OptimizerType optimizer) {
      this.optimizer = optimizer;
      learningRate = optimizer.defaultLearningRate();
      momentum = optimizer.defaultMomentum();
      weightDecay = optimizer.defaultWeightDecay();
    }

    private Builder(TrainerOptions options) {
      optimizer = options.optimizer.type();
      epochs = options.epochs;
      batchSize = options.batchSize;
      accumulation = options.accumulation;
      learningRate = options.optimizer.learningRate();
      momentum = options.optimizer.momentum();
      weightDecay = options.optimizer.weightDecay();
      thresholdLearningRateFactor = options.optimizer.thresholdLearningRateFactor();
      boolean decaysApart = options.optimizer.thresholdWeightDecay() != weightDecay;
      thresholdWeightDecay = decaysApart ? options.optimizer.thresholdWeightDecay() : null;
      schedule = options.schedule;
      maxGradNorm = options.maxGradNorm;
      precision = options.precision;
      seed = options.seed;
    }

    /** See {@link TrainerOptions#epochs}. */
    public Builder epochs(int value) {
      epochs = value;
      return this;
    }

    /** See {@link TrainerOptions#batchSize}. */
    public Builder batchSize(int value) {
      batchSize = value;
      return this;
    }

    /** See {@link TrainerOptions#accumulation}. */
    public Builder accumulation(int value) {
      accumulation = value;
      return this;
    }

    /** See {@link OptimizerConfig#learningRate}. */
    public Builder learningRate(double value) {
      learningRate = value;
      return this;
    }

    /** See {@link OptimizerConfig#momentum}. */
    public Builder momentum(double value) {
      momentum = value;
      return this;
    }

    /** Of the weights, and of the thresholds unless {@link #thresholdWeightDecay} is called. */
    public Builder weightDecay(double value) {
      weightDecay = value;
      return this;
    }

    /** See {@link OptimizerConfig#thresholdLearningRateFactor}. */
    public Builder thresholdLearningRateFactor(double value) {
      thresholdLearningRateFactor = value;
      return this;
    }

    /** See {@link OptimizerConfig#thresholdWeightDecay}. */
    public Builder thresholdWeightDecay(double value) {
      thresholdWeightDecay = value;
      return this;
    }

    /** See {@link TrainerOptions#schedule}. */
    public Builder schedule(LearningRateSchedule value) {
      schedule = value;
      return this;
    }

    /** See {@link TrainerOptions#maxGradNorm}. */
    public Builder maxGradNorm(double value) {
      maxGradNorm = value;
      return this;
    }

    /** See {@link TrainerOptions#precision}. */
    public Builder precision(Precision value) {
      precision = value;
      return this;
    }

    /** See {@link TrainerOptions#seed}. */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * The options.
     *
     * @throws ActclipException naming the first value that is out of range
     */
    public TrainerOptions build() {
      return new TrainerOptions(
          epochs,
          batchSize,
          accumulation,
          new OptimizerConfig(
              optimizer,
              learningRate,
              momentum,
              weightDecay,
              thresholdLearningRateFactor,
              thresholdWeightDecay == null ? weightDecay : thresholdWeightDecay),
          schedule,
          maxGradNorm,
          precision,
          seed);
    }
  }
}
