package io.github.actclip.samples.cli;

import io.github.actclip.data.Dataset;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.models.ScriptModule;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.samples.benchmark.Architecture;
import io.github.actclip.samples.benchmark.Wanted;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import picocli.CommandLine.Option;

/** Options of a network that is made anew. */
final class ModelMixin {

  private static final int CLASSES_WITHOUT_NAMES = 10;

  @Option(
      names = "--weights",
      paramLabel = "FILE",
      description =
          "Weights that the network starts from, in a file of safetensors (.safetensors) or of"
              + " Python's torch.save (.pt, .pth, .bin), such as torchvision's.")
  private Path weights;

  @Option(
      names = "--width",
      paramLabel = "W",
      description =
          "Of mlp, the width of its two hidden layers (default: 256); of resnet20 and resnet18, the"
              + " channels of the first stage (default: 16, 64); of mobilenet_v2, a factor on all"
              + " channels (default: 1).")
  private Double width;

  @Option(
      names = "--image-size",
      paramLabel = "N",
      description =
          "Pixels that images in a folder for each class are resized to (default: 32; resnet18,"
              + " mobilenet_v2 and files of TorchScript 224).")
  private Integer imageSize;

  /**
   * The network of a name.
   *
   * @throws ActclipException bad input, when it is none, or a file's
   */
  static Architecture<?> named(String name) {
    boolean isPath = Stream.of("/", "\\", ".").anyMatch(name::contains);
    if (Architecture.isKnown(name) || !isPath && !Files.exists(FilePath.of(name))) {
      return Architecture.named(name);
    }
    Path path = FilePath.of(name);
    if (Files.isRegularFile(path)) {
      throw ActclipException.badInput(
          "--model (%s) is a file: name its network (%s), and give the file's weights by --weights;"
              + " only one that torch.jit.script(model).save(file) wrote, and that is whole, has its"
              + " network in it",
          path, Architecture.NAMES);
    }
    throw ActclipException.badInput(
        "--model (%s) is %s: name a network (%s)",
        path, Files.isDirectory(path) ? "a folder" : "no file that is there", Architecture.NAMES);
  }

  /**
   * The file of a network that Python has scripted, if it is that and no name.
   *
   * @throws ActclipException bad input, when it is, and weights are given beside it
   */
  Optional<Path> script(String name) {
    Optional<Path> file =
        Architecture.isKnown(name)
            ? Optional.empty()
            : Optional.of(FilePath.of(name)).filter(ScriptModule::isIn);
    if (file.isPresent() && weights != null) {
      throw ActclipException.badInput(
          "--weights (%s) goes with a network's name: %s has weights of its own",
          weights, file.get());
    }
    return file;
  }

  /** The file of weights, or null for none. */
  Path weights() {
    return weights;
  }

  /**
   * Refuses options of a network that is made anew, where a file or folder says what it is like.
   */
  void requireNone(Path said) {
    requireNone("--width", width, said);
    requireNone("--image-size", imageSize, said);
  }

  private static void requireNone(String option, Number given, Path said) {
    if (given != null) {
      throw ActclipException.badInput(
          "%s (%s) goes with --weights: %s says itself what its network is like",
          option, given, said);
    }
  }

  /** Images, in a size for that network. */
  DataOption data(String source, Architecture<?> architecture, boolean randomCrop) {
    return new DataOption(
        source == null ? DataOption.EMBEDDED : source,
        imageSize == null ? architecture.imageSize() : imageSize,
        randomCrop);
  }

  /** The network for these images. */
  <T> Model<T> model(Architecture<T> architecture, Dataset images, ActivationOptions activation) {
    if (imageSize != null) {
      ImageShape.require(imageSize, images);
    }
    ImageShape shape = ImageShape.of(images);
    int classes = images.classes().isEmpty() ? CLASSES_WITHOUT_NAMES : images.classes().size();
    OptionalDouble asked = width == null ? OptionalDouble.empty() : OptionalDouble.of(width);
    Wanted wanted = new Wanted(shape.channels(), shape.size(), classes, asked, activation);
    return new Model<>(architecture, architecture.options().apply(wanted), shape);
  }
}
