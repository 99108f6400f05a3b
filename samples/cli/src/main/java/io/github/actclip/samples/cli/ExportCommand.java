package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.Split;
import io.github.actclip.export.IntegerNetwork;
import io.github.actclip.export.Onnx;
import io.github.actclip.export.OnnxOptions;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Writes a trained network for another runtime. */
@Command(
    name = "export",
    description = "Writes a trained network as ONNX, TorchScript or safetensors.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ExportCommand implements Runnable {

  /** What is written. */
  enum Format {
    ONNX,
    TORCHSCRIPT,
    SAFETENSORS
  }

  /** Enough to see how large activations become; fewer of large images, which fill the memory. */
  private static final int MAX_SAMPLES = 256;

  private static final int MIN_SAMPLES = 8;
  private static final int MAX_NUMBERS = 2_000_000;

  @Option(
      names = "--model",
      paramLabel = "DIR|FILE",
      required = true,
      description =
          "The folder that 'train' wrote; or a network that Python's torch.jit.script saved; or"
              + " weights in a file that describes their network.")
  private String model;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      required = true,
      description =
          "One of onnx; torchscript, of a network that came from TorchScript; safetensors, the"
              + " weights alone.")
  private Format format;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      required = true,
      description = "The file to write, which is not there yet.")
  private Path out;

  @Option(
      names = "--preprocessing",
      description =
          "Of onnx: the model takes pixels as bytes, 0 to 255, and normalizes them as in training.")
  private boolean preprocessing;

  @Option(
      names = "--integer",
      description =
          "Of onnx: in integers of 8 bits, of a network that was trained with --activation-bits and"
              + " --weight-bits.")
  private boolean integer;

  @Option(
      names = "--opset",
      paramLabel = "N",
      defaultValue = "17",
      description = "Of onnx: the version of its operators, 13 to 21 (default: 17).")
  private int opset;

  @Option(
      names = "--data",
      paramLabel = "embedded|DIR",
      description =
          "With --integer: images to see by how large activations become that the network does not"
              + " quantize itself (default: those that it was trained with).")
  private String data;

  @Override
  public void run() {
    requireNew();
    Path path = FilePath.of(model);
    if (format != Format.ONNX && (preprocessing || integer || data != null)) {
      throw ActclipException.badInput(
          "--preprocessing, --integer and --data go with --format onnx, not %s", format);
    }
    if (format == Format.TORCHSCRIPT) {
      ScriptNetwork.write(path, out);
    } else {
      write(SavedModel.of(path));
    }
    Results.print("exported", out + ", " + size() + " bytes");
  }

  private void requireNew() {
    if (Files.exists(out)) {
      throw ActclipException.badInput("--out (%s) is there already: name another file", out);
    }
  }

  private long size() {
    try {
      return Files.size(out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void write(SavedModel saved) {
    Network network = saved.network();
    if (format == Format.SAFETENSORS) {
      writeWeights(network, saved.description().notes());
    } else if (integer) {
      Onnx.export(integers(network, saved), out, options(saved));
    } else {
      Onnx.export(network, out, options(saved));
    }
  }

  private void writeWeights(Network network, Map<String, String> notes) {
    if (!out.toString().endsWith(".safetensors")) {
      throw ActclipException.badInput("--out (%s) must end in .safetensors", out);
    }
    TensorScope.run(() -> StateDict.write(out, StateDict.of(network), notes));
  }

  private OnnxOptions options(SavedModel saved) {
    ImageShape images = saved.description().model().images();
    OnnxOptions options =
        OnnxOptions.of(images.channels(), images.size(), images.size()).opset(opset);
    for (Map.Entry<String, String> note : saved.description().notes().entrySet()) {
      options = options.note(note.getKey(), note.getValue());
    }
    if (!saved.classes().isEmpty()) {
      options = options.classes(saved.classes());
    }
    return preprocessing
        ? options.bytes(true).normalization(saved.description().normalization())
        : options;
  }

  private IntegerNetwork integers(Network network, SavedModel saved) {
    Dataset images = saved.images(data, Split.TRAIN);
    ImageShape shape = saved.description().model().images();
    int fit = MAX_NUMBERS / (shape.channels() * shape.size() * shape.size());
    int count = Math.min(images.size(), Math.min(MAX_SAMPLES, Math.max(MIN_SAMPLES, fit)));
    int step = images.size() / count; // those of a folder are in the order of their classes
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      int[] spread = IntStream.range(0, count).map(i -> i * step).toArray();
      return IntegerNetwork.of(network, images.batch(spread).data());
    }
  }
}
