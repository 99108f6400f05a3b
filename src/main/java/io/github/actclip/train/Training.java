package io.github.actclip.train;

import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.Dataset;
import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.nn.Network;
import io.github.actclip.optim.OptimizerConfig;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;

/**
 * A training under way: where it stands, for its {@link TrainingListener}s. It ends with {@link
 * Trainer#fit}, and belongs to the thread of that; only {@link #stop} may be called from others.
 */
public final class Training {

  /** How many test samples the activations are looked at with. */
  private static final int OBSERVED = 250;

  private final Trainer trainer;
  private final Network network;
  private final TrainerOptions options;
  private final Dataset train;
  private final Dataset test;
  private final DataLoader loader;
  private final Optimizer optimizer;
  private final TrainingStep trainingStep;
  private final RunningMetrics metrics;
  private final Tensor observed;
  private final ThresholdReadings thresholds;
  private final PhaseTimer timer = new PhaseTimer();
  private String run = UUID.randomUUID().toString();
  private boolean resumed;
  private final List<EpochMetrics> epochs = new ArrayList<>();
  private long step;
  private int epoch;
  private int batch;
  private Tensor lastLoss;
  private double learningRate;
  private Path lastCheckpoint;

  /** Its native objects belong to the caller's scope. */
  Training(Trainer trainer, Dataset train, Dataset test) {
    this.trainer = trainer;
    network = trainer.network();
    options = trainer.options();
    this.train = train;
    this.test = test;
    requireTexts("the training data", train);
    requireTexts("the test data", test);
    loader = options.loader(train, device());
    thresholds = new ThresholdReadings(network);
    OptimizerConfig config = options.optimizer();
    optimizer = config.type().create(network.parameters(), network.thresholds().values(), config);
    trainingStep = new TrainingStep(this);
    metrics = new RunningMetrics(device(), trainer.metrics());
    observed = observed();
  }

  /** What would else be missed at the end, when results are written. */
  private static void requireTexts(String what, Dataset data) {
    if (data == null || data.name() == null || data.source() == null || data.classes() == null) {
      throw ActclipException.badInput(
          "%s must be there, and have a name, a source and classes, if only none", what);
    }
  }

  private Tensor observed() {
    try (BatchIterator batches = DataLoader.sequential(test, OBSERVED, device()).iterator()) {
      return batches.next().data().clone();
    }
  }

  /**
   * By which this training is told from every other; the same after it went on from a checkpoint.
   * Empty where that was written by a version without it.
   */
  public String run() {
    return run;
  }

  /** Whether it goes on from a checkpoint. */
  @Internal
  public boolean isResumed() {
    return resumed;
  }

  /** The network that is trained; its owner is whoever made the {@link Trainer}. */
  public Network network() {
    return network;
  }

  /** What it minimises. */
  public Loss loss() {
    return trainer.loss();
  }

  /** The names of the metrics by which it is judged. */
  public List<String> metrics() {
    return trainer.metrics().stream().map(Metric::name).toList();
  }

  /** What is said of it besides: see {@link Trainer#note}. */
  public Map<String, String> notes() {
    return trainer.notes();
  }

  /** How it is trained. */
  public TrainerOptions options() {
    return options;
  }

  /** The optimizer; the training's. */
  public Optimizer optimizer() {
    return optimizer;
  }

  /** Where the network is. */
  public Device device() {
    return trainer.device();
  }

  /** What it is trained on. */
  public Dataset trainData() {
    return train;
  }

  /** What it is tested with. */
  public Dataset testData() {
    return test;
  }

  /** Steps done since the start of the training. */
  public long step() {
    return step;
  }

  /** Steps of the whole training. */
  public long totalSteps() {
    return options.epochs() * stepsPerEpoch();
  }

  /** Optimizer steps of one epoch. */
  @Internal
  public long stepsPerEpoch() {
    return options.stepsPerEpoch(train.size());
  }

  /** Whole epochs done. */
  public int epoch() {
    return epoch;
  }

  /** Batches done in the epoch under way. */
  public int batch() {
    return batch;
  }

  /** The learning rate of the last step. */
  public double learningRate() {
    return learningRate;
  }

  /**
   * What the last step came to; on a GPU this waits for the device.
   *
   * @throws ActclipException bad input elsewhere than in {@link TrainingListener#onStep}
   */
  public StepMetrics stepMetrics() {
    if (lastLoss == null || lastLoss.isNull()) {
      throw ActclipException.badInput(
          "a step's metrics are there in onStep only, and now no step is under way");
    }
    return new StepMetrics(
        step, learningRate, lastLoss.item_double(), thresholds.values(), thresholds.gradients());
  }

  /** The epochs that were tested, the last perhaps cut short by {@link #stop}. */
  public List<EpochMetrics> epochs() {
    return List.copyOf(epochs);
  }

  /** Ends the training after the step under way, as {@link Trainer#stop} does. */
  public void stop() {
    trainer.stop();
  }

  /** Whether somebody called {@link #stop}. */
  public boolean isStopping() {
    return trainer.isStopping();
  }

  /** Whether the last step was done. */
  public boolean isComplete() {
    return epoch == options.epochs();
  }

  /** The newest checkpoint that was written. */
  public Optional<Path> lastCheckpoint() {
    return Optional.ofNullable(lastCheckpoint);
  }

  /** Notes the newest checkpoint. */
  @Internal
  public void checkpointed(Path file) {
    lastCheckpoint = file;
  }

  PhaseTimer timer() {
    return timer;
  }

  /** The batches of the epoch that are not done yet. */
  BatchIterator remainingBatches() {
    return loader.iterator(epoch, batch);
  }

  /** Does one step with the next batches; the caller's scope owns what it makes. */
  void step(Iterator<Batch> batches) {
    learningRate =
        options
            .schedule()
            .at(
                options.optimizer().learningRate(),
                step,
                totalSteps(),
                stepsPerEpoch(),
                testLosses());
    OptimizerType.setLearningRate(optimizer, learningRate, options.optimizer());
    step++;
    TrainingStep.Result result = trainingStep.run(batches, metrics);
    batch += result.batches();
    lastLoss = result.loss();
  }

  private List<Double> testLosses() {
    return epochs.stream().map(EpochMetrics::testLoss).toList();
  }

  ProgressMetrics progressMetrics() {
    Evaluation soFar = metrics.read();
    return new ProgressMetrics(
        epoch + 1,
        step,
        totalSteps(),
        soFar.all(),
        thresholds.limits(),
        soFar.samples() / timer.read().total());
  }

  /** Tests, after an epoch or a part of one, and gets ready for the next. */
  EpochMetrics endEpoch() {
    EpochMetrics tested = test();
    epochs.add(tested);
    if (batch == loader.batches()) {
      epoch++;
      batch = 0;
      metrics.reset(RunningMetrics.Sums.ZERO);
      timer.reset(PhaseSeconds.ZERO);
    }
    return tested;
  }

  private EpochMetrics test() {
    Evaluation training = metrics.read();
    PhaseSeconds phases = timer.read();
    Evaluation testing = Evaluator.evaluate(network, test, loss(), trainer.metrics(), device());
    return new EpochMetrics(
        epoch + 1,
        step,
        learningRate,
        training.all(),
        testing.all(),
        activations(testing.loss()),
        training.samples() / phases.total(),
        phases);
  }

  /** Of always the same samples, so that they can be compared. */
  private Map<String, ActivationStatistics> activations(double testLoss) {
    Divergence.requireFinite(this, "test loss", testLoss, observed);
    thresholds
        .limits()
        .forEach(
            (name, limit) -> Divergence.requireFinite(this, "threshold " + name, limit, observed));
    return thresholds.observe(observed);
  }

  /** Where it is, for a checkpoint. */
  @Internal
  public TrainingProgress progress() {
    return new TrainingProgress(
        step,
        epoch,
        batch,
        metrics.sums(),
        timer.read(),
        learningRate,
        thresholds.gradientSums(),
        trainingStep.scaler() == null ? 0 : trainingStep.scaler().scale(),
        trainingStep.scaler() == null ? 0 : trainingStep.scaler().growthTracker(),
        epochs.subList(0, epoch));
  }

  /** Goes on from where a checkpoint was, of the run of that name. */
  @Internal
  public void restore(String fromRun, TrainingProgress progress) {
    run = fromRun;
    resumed = true;
    step = progress.step();
    epoch = progress.epoch();
    batch = progress.batch();
    metrics.reset(progress.sums());
    timer.reset(progress.phases());
    learningRate = progress.learningRate();
    thresholds.restoreGradientSums(progress.thresholdGradients());
    if (trainingStep.scaler() != null) {
      trainingStep.scaler().restore(progress.gradientScale(), progress.growthTracker());
    }
    epochs.clear();
    epochs.addAll(progress.epochs());
  }
}
