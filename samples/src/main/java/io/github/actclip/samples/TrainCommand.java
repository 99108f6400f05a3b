package io.github.actclip.samples;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.data.Batch;
import io.github.actclip.data.BatchIterator;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.report.RunDirectory;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.TrainingRun.Listening;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
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
              + " IDX files of MNIST or Fashion-MNIST, or with CIFAR-10's binary batches.")
  private String data;

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
    TrainerOptions given = trainer.options();
    NetOptions shape = NetOptions.original().with(activation.options());
    Device device = machine.device();
    given.precision().requireOn(device);
    DataOption source = new DataOption(data == null ? DataOption.EMBEDDED : data);
    ImageDataset train = source.load(Split.TRAIN);
    ImageDataset test = source.load(Split.TEST);
    TrainerOptions options = trainer.normalized(given, train);
    torch.manual_seed(options.seed());
    Net net = new Net(shape);
    calibrate(net, train, options);
    new Trainer(net, options, device, List.of()).check(train, test);
    Listening listening = listening(net);
    // Everything was checked: from here on there is a folder.
    RunDirectory directory =
        out == null ? RunDirectory.createNew(defaultFolder()) : RunDirectory.create(out);
    new TrainingRun(directory, net, options, device, train, test).run(Optional.empty(), listening);
  }

  private void goOn(Path folder) {
    RunDirectory directory = RunDirectory.resume(folder);
    checkpoints.recall(folder);
    Device device = machine.device();
    Checkpoint checkpoint =
        Checkpoint.newest(directory.checkpoints())
            .orElseThrow(
                () ->
                    ActclipException.failure(
                        null, "none of the checkpoints of %s is whole", folder));
    checkpoint.options().precision().requireOn(device);
    DataOption source = new DataOption(data == null ? checkpoint.source() : data);
    ImageDataset train = source.load(Split.TRAIN);
    ImageDataset test = source.load(Split.TEST);
    Net net = checkpoint.net();
    TrainerOptions options = trainer.withEpochs(checkpoint.options());
    new TrainingRun(directory, net, options, device, train, test)
        .run(Optional.of(checkpoint), listening(net));
  }

  private Listening listening(Net net) {
    List<TrainingListener> first = new ArrayList<>(watchers.judges(net));
    first.add(checkpoints.stopper());
    return new Listening(
        first, checkpoints::remembering, checkpoints.options(), watchers.tensorBoard());
  }

  /** On the CPU, where the network still is. */
  private void calibrate(Net net, ImageDataset train, TrainerOptions options) {
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
