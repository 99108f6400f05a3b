package io.github.actclip.samples.benchmark;

import io.github.actclip.op.ClipOp;
import io.github.actclip.optim.Precision;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.benchmark.BenchmarkCase.Part;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures ours beside others, round by round in turn. */
@Command(
    name = "benchmark",
    description =
        "Times a training step and the forward pass of Net, or of the network of --model, beside its two convolutions alone,"
            + " Python's PyTorch (channels-last), untuned JavaCPP and, with samples/run -Ppeers, DJL"
            + " and ONNX Runtime; a Predictor that 1 and 8 threads ask beside the bare forward pass; the clip beside LibTorch's operations; a training beside its steps"
            + " alone; how long programs take to start; and a step's time and memory an image in"
            + " batches of 1 to 1,024 and of images of 32 to 224 pixels. Prints medians and spreads"
            + " of interleaved rounds. On a GPU, only what uses it is timed.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class BenchmarkCommand implements Runnable {

  @Parameters(
      paramLabel = "step|forward|predict|clip|data|start-up|scaling",
      arity = "0..*",
      description = "What is measured (default: all).")
  private List<Part> given;

  @Option(
      names = "--model",
      paramLabel = "NAME|FILE",
      defaultValue = "net",
      description =
          "Of a step and a forward pass, on 3×32×32 images: net (the default), mlp, resnet20,"
              + " resnet18 or mobilenet_v2, whose learned clips are timed beside plain ReLUs (or"
              + " LibTorch's ReLU6), PACT of 4 bits, and Python's; or a network that Python's"
              + " torch.jit.script saved, with a learned clip for each ReLU beside as it is.")
  private String model;

  @Option(
      names = "--batch-sizes",
      paramLabel = "N",
      split = ",",
      defaultValue = "1,8,64,256",
      description = "Images of a step, and of a forward pass (default: ${DEFAULT-VALUE}).")
  private List<Integer> batchSizes;

  @Option(
      names = "--sizes",
      paramLabel = "N",
      split = ",",
      defaultValue = "1,1000,100352,401408,4000000,64000000",
      description = "Elements that are clipped (default: ${DEFAULT-VALUE}).")
  private List<Integer> sizes;

  @Option(
      names = "--threads",
      paramLabel = "N",
      split = ",",
      description = "Threads of one operation (default: 1, and one a processor).")
  private List<Integer> threads;

  @Option(
      names = "--precision",
      paramLabel = "float32|bfloat16",
      split = ",",
      defaultValue = "float32",
      description = "Of a step and of a forward pass (default: float32).")
  private List<Precision> precisions;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "15",
      description =
          "Rounds of 0.1 s, or of one pass (of data, 30) if that takes longer (default: 15).")
  private int rounds;

  @Mixin private DeviceMixin deviceOption;

  /** Those that are given, or all that there are of the network. */
  private List<Part> parts;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Write the measurements, and what they were measured on, to that file, too.")
  private Path json;

  @Option(
      names = "--plot",
      paramLabel = "FILE.png",
      description = "Draw what scaling measured into that file.")
  private Path plot;

  @Override
  public void run() {
    model = ScriptContestants.named(model);
    parts = parts();
    requirePositive("--batch-sizes", batchSizes);
    requirePositive("--sizes", sizes);
    requirePositive("--rounds", List.of(rounds));
    if (precisions.contains(Precision.FLOAT16)) {
      throw ActclipException.badInput("--precision (float16) must be float32 or bfloat16");
    }
    requireFiles();
    Device device = deviceOption.open();
    RuntimeInfo environment = RuntimeInfo.current();
    List<BenchmarkCase> cases = cases();
    threads().forEach(LibTorch::setThreads); // refuses what cannot be
    List<Measurement> measurements = new ArrayList<>();
    List<Scaling.Point> scaling = new ArrayList<>();
    String name = device.str().getString();
    BenchmarkResults results =
        new BenchmarkResults(environment, ClipOp.backend(), name, rounds, measurements, scaling);
    System.out.println(
        "device " + name + ", clip backend " + ClipOp.backend() + ", network " + model);
    if (!cases.isEmpty()) {
      Measurement.printTitle();
    }
    for (BenchmarkCase in : cases) {
      TensorScope.run(() -> measurements.addAll(measure(in, device)));
      write(results);
    }
    if (parts.contains(Part.SCALING)) {
      Scaling.printTitle();
      for (int count : threads()) {
        Scaling machine = new Scaling(count, rounds, device);
        scaling.addAll(machine.measure(Scaling.BATCH_SIZES, Scaling.IMAGE_SIZES));
        write(results);
      }
    }
    if (plot != null) {
      ScalingPlot.write(scaling, plot);
    }
  }

  private List<Part> parts() {
    if (model.equals(Architecture.NET.name())) {
      return given == null ? List.of(Part.values()) : given;
    }
    List<Part> suitable =
        Architecture.isKnown(model)
            ? List.of(Part.STEP, Part.FORWARD, Part.PREDICT)
            : List.of(Part.STEP, Part.FORWARD);
    if (given != null && !suitable.containsAll(given)) {
      throw ActclipException.badInput(
          "--model (%s) is for %s: the other parts are of net or of no network",
          model, suitable.stream().map(Part::toString).collect(Collectors.joining(", ")));
    }
    return given == null ? suitable : given;
  }

  /** It takes minutes until they are written: what stands in the way is said before. */
  private void requireFiles() {
    if (plot != null && !parts.contains(Part.SCALING)) {
      throw ActclipException.badInput("--plot (%s) draws what scaling measures: ask for it", plot);
    }
    if (plot != null && plot.equals(json)) {
      throw ActclipException.badInput("--plot (%s) must be another file than --json", plot);
    }
    requireWritable("--plot", plot);
    requireWritable("--json", json);
  }

  private static void requireWritable(String option, Path file) {
    if (file == null) {
      return;
    }
    Path folder = file.toAbsolutePath().getParent();
    boolean isNoFile = Files.exists(file) && !Files.isRegularFile(file);
    if (folder == null || !Files.isWritable(folder) || isNoFile) {
      throw ActclipException.badInput(
          "%s (%s) cannot be written: name a file in a folder that is there", option, file);
    }
  }

  private static void requirePositive(String option, List<Integer> values) {
    if (values.stream().anyMatch(value -> value < 1)) {
      throw ActclipException.badInput("%s (%s) must be at least 1", option, values);
    }
  }

  private List<BenchmarkCase> cases() {
    List<Integer> counts = threads();
    List<BenchmarkCase> cases = new ArrayList<>();
    for (Part part : parts) {
      for (Precision precision : precisionsOf(part)) {
        for (int size : sizesOf(part)) {
          counts.forEach(
              count -> cases.add(new BenchmarkCase(part, size, count, precision, model)));
        }
      }
    }
    return cases;
  }

  private List<Integer> threads() {
    return threads != null ? threads : List.of(1, LibTorch.threads()).stream().distinct().toList();
  }

  /** The clip's own comparison is in float32: autocast does not touch a clip. */
  private List<Precision> precisionsOf(Part part) {
    return switch (part) {
      case CLIP, START_UP, PREDICT -> List.of(Precision.FLOAT32);
      case STEP, FORWARD, DATA, SCALING -> precisions;
    };
  }

  private List<Integer> sizesOf(Part part) {
    return switch (part) {
      case CLIP -> sizes;
      case PREDICT -> PredictContestants.CALLERS;
      case START_UP -> List.of(1);
      case SCALING -> List.of(); // It has sizes of its own.
      case STEP, FORWARD, DATA -> batchSizes;
    };
  }

  /** The caller's scope owns what it makes. */
  private List<Measurement> measure(BenchmarkCase in, Device device) {
    LibTorch.setThreads(in.threads());
    List<Contestant> contestants = new ArrayList<>();
    try {
      contestants.addAll(Contestants.of(in, device));
      List<Measurement> measured = Rounds.run(in, contestants, rounds);
      measured.forEach(Measurement::print);
      return measured;
    } finally {
      contestants.forEach(Contestant::close);
    }
  }

  private void write(BenchmarkResults results) {
    if (json != null) {
      results.write(json);
    }
  }
}
