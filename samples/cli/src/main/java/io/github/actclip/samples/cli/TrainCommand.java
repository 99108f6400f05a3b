package io.github.actclip.samples.cli;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
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

  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss", Locale.ROOT);

  @Option(
      names = "--data",
      paramLabel = "embedded|DIR",
      description =
          "The images: 'embedded' (a subset of Fashion-MNIST, the default), or a folder with the"
              + " IDX files of MNIST or Fashion-MNIST, or with CIFAR-10's binary batches, or with"
              + " train/CLASS/IMAGE and test/CLASS/IMAGE (or val/…).")
  private String data;

  @Option(
      names = "--image-size",
      paramLabel = "N",
      description = "Pixels that images in a folder for each class are resized to (default: 32).")
  private Integer imageSize;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Folder for the results (default: runs/ and the time).")
  private Path out;

  @Mixin private TrainerMixin trainer;

  @Mixin private ActivationMixin activation;

  @Mixin private ListenerMixin watchers;

  @Mixin private CheckpointMixin checkpoints;

  @Mixin private MachineOptions machine;

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
    TrainerOptions options = trainer.options();
    NetOptions original = NetOptions.original().with(activation.options());
    Device device = machine.device();
    options.precision().requireOn(device);
    int size = imageSize == null ? original.imageSize() : imageSize;
    DataOption source =
        new DataOption(data == null ? DataOption.EMBEDDED : data, size, trainer.randomCrop());
    Dataset train = source.load(Split.TRAIN);
    Dataset test = source.load(Split.TEST);
    int classes = train.classes().isEmpty() ? original.numClasses() : train.classes().size();
    NetOptions shape = new NetOptions(original.inChannels(), size, classes, original.activation());
    NetDescription description =
        new NetDescription(shape, trainer.augmentation(), trainer.normalization(train));
    torch.manual_seed(options.seed());
    Net net = new Net(shape);
    calibrate(net, description.training(train), options);
    Run run = out == null ? Run.createNew(defaultFolder()) : Run.create(out);
    start(run, new TrainingRun(net, description, options, device, train, test));
  }

  private void goOn(Path folder) {
    Checkpoint checkpoint = Run.newest(folder);
    checkpoints.recall(folder);
    Device device = machine.device();
    TrainerOptions options = trainer.withEpochs(checkpoint.options());
    options.precision().requireOn(device);
    NetDescription description = NetDescription.of(checkpoint.notes(), checkpoint.file());
    DataOption source =
        new DataOption(
            data == null ? checkpoint.source() : data,
            description.net().imageSize(),
            checkpoint.hasTransform("RandomResizedCrop"));
    Dataset train = source.load(Split.TRAIN);
    Dataset test = source.load(Split.TEST);
    Net net = new Net(description.net());
    start(Run.in(folder), new TrainingRun(net, description, options, device, train, test));
  }

  private void start(Run run, TrainingRun training) {
    List<TrainingListener> first = new ArrayList<>(watchers.judges(training.net()));
    first.add(checkpoints.stopper());
    first.add(checkpoints.remembering(run));
    run.checkpoints(checkpoints.options());
    if (watchers.tensorBoard()) {
      run.tensorBoard();
    }
    training.start(run, first);
  }

  /** On the CPU, where the network still is. */
  private void calibrate(Net net, Dataset train, TrainerOptions options) {
    if (activation.calibration() == null) {
      return;
    }
    try (BatchIterator batches = options.loader(train, Devices.of("cpu")).iterator()) {
      Batch first = batches.next();
      TensorScope.run(() -> net.calibrate(first.data(), activation.calibration()));
    }
  }

  private static Path defaultFolder() {
    String time = LocalDateTime.now(ZoneId.systemDefault()).format(TIME);
    return FilePath.of("runs/" + time);
  }
}
