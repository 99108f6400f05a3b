package io.github.actclip.samples.cli;

import io.github.actclip.checkpoint.Checkpoint;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageFolder;
import io.github.actclip.data.Split;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.samples.benchmark.Architecture;
import io.github.actclip.train.TrainerOptions;
import io.github.actclip.train.Training;
import io.github.actclip.train.TrainingListener;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains a network and writes what came of it. */
@Command(
    name = "train",
    description = "Trains a network on images, prints its accuracy, and writes its results.",
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
      names = "--model",
      paramLabel = "NAME|FILE.pt",
      defaultValue = "net",
      description =
          "One of net, mlp, resnet20, resnet18, mobilenet_v2 (default: net); or a file that"
              + " Python's torch.jit.script(model).save wrote, whose ReLUs each get a clip of their"
              + " own.")
  private String model;

  @Mixin private ModelMixin anew;

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

  /**
   * A network that a new training begins with.
   *
   * @param start sets its weights and thresholds
   * @param keep writes into the training's folder what else it takes to make the network again
   */
  private record Beginning(
      Architecture<?> architecture, Consumer<Start> start, Consumer<Path> keep) {}

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
    Optional<Path> script = anew.script(model);
    begin(
        script.isPresent()
            ? beginning(ScriptNetwork.begin(script.get(), activation))
            : beginning(ModelMixin.named(model)));
  }

  private Beginning beginning(ScriptNetwork script) {
    return new Beginning(
        script.architecture(), start -> script.start(start, activation), script::keep);
  }

  private Beginning beginning(Architecture<?> architecture) {
    return new Beginning(architecture, start -> start(start, architecture), folder -> {});
  }

  private void begin(Beginning beginning) {
    TrainerOptions options = trainer.options();
    Architecture<?> architecture = beginning.architecture();
    ActivationOptions clips = activation.options(architecture);
    Device device = machine.device();
    options.precision().requireOn(device);
    DataOption source = anew.data(data, architecture, trainer.randomCrop());
    Dataset train = source.load(Split.TRAIN);
    Dataset test = source.load(Split.TEST);
    ModelDescription description =
        new ModelDescription(
            anew.model(architecture, train, clips),
            trainer.augmentation(),
            trainer.normalization(train));
    torch.manual_seed(options.seed());
    Network network = description.model().network();
    beginning
        .start()
        .accept(
            new Start(
                network, () -> options.loader(description.training(train), Devices.of("cpu"))));
    Run run = out == null ? Run.createNew(defaultFolder()) : Run.create(out);
    start(
        run,
        new TrainingRun(network, description, options, device, train, test),
        List.of(keeping(run, beginning.keep())));
  }

  private void start(Start start, Architecture<?> architecture) {
    if (anew.weights() == null) {
      activation.calibration().ifPresent(start::calibrate);
    } else {
      start.load(
          anew.weights(), activation.calibration(), activation.calibrationOfTrained(architecture));
    }
  }

  private void goOn(Path folder) {
    Checkpoint checkpoint = Run.newest(folder);
    checkpoints.recall(folder);
    Device device = machine.device();
    TrainerOptions options = trainer.withEpochs(checkpoint.options());
    options.precision().requireOn(device);
    ModelDescription description = ModelDescription.of(checkpoint.notes(), checkpoint.file());
    int size = description.model().images().size();
    DataOption source =
        new DataOption(
            data == null ? checkpoint.source() : data,
            size,
            checkpoint.hasTransform(ImageFolder.RANDOM_CROP));
    Dataset train = source.load(Split.TRAIN);
    Dataset test = source.load(Split.TEST);
    ImageShape.require(size, train);
    Network network = description.model().network();
    start(
        Run.in(folder),
        new TrainingRun(network, description, options, device, train, test),
        List.of());
  }

  /** Where it fails, as on a full disk, nobody could make the network again from its weights. */
  private static TrainingListener keeping(Run run, Consumer<Path> files) {
    return new TrainingListener() {
      @Override
      public void onStart(Training training) {
        files.accept(run.folder());
      }
    };
  }

  private void start(Run run, TrainingRun training, List<TrainingListener> writers) {
    List<TrainingListener> first = new ArrayList<>(watchers.judges(training.network()));
    first.addAll(writers);
    first.add(checkpoints.stopper());
    first.add(checkpoints.remembering(run));
    run.checkpoints(checkpoints.options());
    if (watchers.tensorBoard()) {
      run.tensorBoard();
    }
    training.start(run, first);
  }

  private static Path defaultFolder() {
    String time = LocalDateTime.now(ZoneId.systemDefault()).format(TIME);
    return FilePath.of("runs/" + time);
  }
}
