package io.github.actclip.samples;

import io.github.actclip.data.Batch;
import io.github.actclip.data.DataLoader;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.Net;
import io.github.actclip.nn.NetOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.Checkpoint;
import io.github.actclip.train.Checkpointer;
import io.github.actclip.train.EarlyStopping;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.LearningRateSchedule;
import io.github.actclip.train.OptimizerType;
import io.github.actclip.train.RunDirectory;
import io.github.actclip.train.RunSummary;
import io.github.actclip.train.StepLog;
import io.github.actclip.train.TensorBoardListener;
import io.github.actclip.train.ThresholdWatch;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains Net and writes what came of it. */
@Command(
    name = "train",
    description = "Trains Net on images, prints its accuracy, and writes its results.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class TrainCommand implements Runnable {

  // In steps; an epoch of the embedded images has 63.
  private static final int WATCH_EVERY = 50;
  private static final int WATCH_PATIENCE = 200;

  /** What to do when a threshold does not learn. */
  enum Watch {
    WARN,
    STOP
  }

  @Option(
      names = "--data",
      paramLabel = "embedded|DIR",
      defaultValue = DataOption.EMBEDDED,
      description =
          "The images: 'embedded' (a subset of Fashion-MNIST, the default), or a folder with the"
              + " IDX files of MNIST or Fashion-MNIST, or with CIFAR-10's binary batches.")
  private String data;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "Passes over the images (default: 12).")
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

  @Option(
      names = "--threshold-watch",
      paramLabel = "warn|stop",
      defaultValue = "warn",
      description = "What to do when a threshold does not learn (default: warn).")
  private Watch watch;

  @Option(
      names = "--schedule",
      paramLabel = "NAME",
      description = "One of one_cycle, constant (default: one_cycle).")
  private LearningRateSchedule schedule;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Of the initial weights and the order of the images (default: 0).")
  private Long seed;

  @Option(
      names = "--early-stopping",
      paramLabel = "N",
      description =
          "Stop after N epochs in which the test loss was not below its best (default: never).")
  private Integer earlyStopping;

  @Option(
      names = "--tensorboard",
      description = "Write event files for TensorBoard, too, into the folder tensorboard.")
  private boolean tensorBoard;

  @Mixin private ActivationMixin activation;

  @Mixin private CheckpointMixin checkpoints;

  @Mixin private MachineOptions machine;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Folder for the results (default: runs/ and the time).")
  private Path out;

  @Override
  public void run() {
    Path folder = checkpoints.resume();
    if (folder == null) {
      begin();
    } else {
      goOn(folder);
    }
  }

  private void begin() {
    TrainerOptions options = options();
    NetOptions shape = NetOptions.original().with(activation.options());
    Device device = machine.device();
    DataOption source = new DataOption(data);
    ImageDataset train = source.load(Split.TRAIN);
    ImageDataset test = source.load(Split.TEST);
    torch.manual_seed(options.seed());
    Net net = new Net(shape);
    calibrate(net, train, options);
    List<TrainingListener> judges = judges(net);
    RunDirectory directory = RunDirectory.create(out == null ? defaultFolder() : out);
    train(directory, net, options, device, train, test, judges, null);
  }

  private void goOn(Path folder) {
    Device device = machine.device();
    RunDirectory directory = RunDirectory.resume(folder);
    Checkpoint checkpoint =
        Checkpoint.newest(directory.checkpoints())
            .orElseThrow(
                () ->
                    ActclipException.failure(
                        null, "none of the checkpoints of %s is whole", folder));
    DataOption source = new DataOption(checkpoint.source());
    ImageDataset train = source.load(Split.TRAIN);
    ImageDataset test = source.load(Split.TEST);
    Net net = checkpoint.net();
    train(directory, net, checkpoint.options(), device, train, test, judges(net), checkpoint);
  }

  /** Trains, from a checkpoint if there is one. */
  private void train(
      RunDirectory directory,
      Net net,
      TrainerOptions options,
      Device device,
      ImageDataset train,
      ImageDataset test,
      List<TrainingListener> judges,
      Checkpoint checkpoint) {
    String deviceName = device.str().getString();
    RuntimeInfo environment = RuntimeInfo.current();
    BiFunction<EpochMetrics, Boolean, RunSummary> summarise =
        (last, stopped) ->
            new RunSummary(
                train.source(),
                train.name(),
                train.size(),
                test.size(),
                deviceName,
                net.options(),
                options,
                environment,
                stopped,
                last);
    TrainingListener recorder = directory.recorder(net, last -> summarise.apply(last, true));
    Trainer trainer;
    List<EpochMetrics> epochs;
    try (ProgressBarListener bar = new ProgressBarListener();
        StepLog steps = new StepLog(directory.folder());
        TensorBoardListener board =
            tensorBoard ? new TensorBoardListener(directory.folder()) : null;
        Checkpointer checkpointer =
            new Checkpointer(directory.checkpoints(), checkpoints.options())) {
      // The checkpoint comes last: what it goes on from has been written then.
      Stream<TrainingListener> writers = Stream.of(recorder, steps, board, bar, checkpointer);
      trainer =
          new Trainer(
              net,
              options,
              device,
              Stream.concat(judges.stream(), writers.filter(Objects::nonNull)).toList());
      Interrupt.onSignal(trainer::stop);
      epochs =
          checkpoint == null ? trainer.fit(train, test) : trainer.resume(checkpoint, train, test);
    } finally {
      directory.releaseIfEmpty();
    }
    if (!epochs.isEmpty()) {
      EpochMetrics last = epochs.get(epochs.size() - 1);
      RunSummary summary = summarise.apply(last, trainer.isStopped());
      directory.finish(summary, epochs);
      print(summary, directory);
    }
  }

  /** What may end the training early. */
  private List<TrainingListener> judges(Net net) {
    List<TrainingListener> judges = new ArrayList<>(List.of(watch(net), checkpoints.stopper()));
    if (earlyStopping != null) {
      judges.add(new EarlyStopping(earlyStopping, 0));
    }
    return judges;
  }

  private ThresholdWatch watch(Net net) {
    ThresholdWatch made =
        watch == Watch.STOP
            ? ThresholdWatch.stopping(net.thresholds())
            : ThresholdWatch.warning(net.thresholds());
    return made.with(WATCH_EVERY, WATCH_PATIENCE);
  }

  /** On the CPU, where the network still is. */
  private void calibrate(Net net, ImageDataset train, TrainerOptions options) {
    if (activation.calibration() == null) {
      return;
    }
    DataLoader loader =
        DataLoader.shuffled(train, options.batchSize(), options.seed(), Devices.of("cpu"));
    Batch first = loader.iterator().next();
    TensorScope.run(() -> net.calibrate(first.images(), activation.calibration()));
  }

  private static void print(RunSummary summary, RunDirectory directory) {
    EpochMetrics last = summary.last();
    if (summary.stopped()) {
      Results.print("stopped", "in epoch " + last.epoch() + ", after step " + last.step());
    }
    Results.printTest(last.testLoss(), last.testAccuracy(), summary.testImages());
    Results.print("act_max", last.actMax());
    Results.print("results", directory.folder());
    Results.print("report", directory.folder().resolve(RunDirectory.REPORT));
  }

  private TrainerOptions options() {
    TrainerOptions defaults = TrainerOptions.defaults(optimizer);
    double decay = or(weightDecay, defaults.weightDecay());
    return new TrainerOptions(
        or(epochs, defaults.epochs()),
        or(batchSize, defaults.batchSize()),
        optimizer,
        or(learningRate, defaults.learningRate()),
        or(momentum, defaults.momentum()),
        decay,
        thresholdLearningRateFactor,
        or(thresholdWeightDecay, decay),
        or(schedule, defaults.schedule()),
        or(seed, defaults.seed()));
  }

  private static <T> T or(T given, T otherwise) {
    return given == null ? otherwise : given;
  }

  private static Path defaultFolder() {
    String time = LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss"));
    return Path.of("runs", time);
  }
}
