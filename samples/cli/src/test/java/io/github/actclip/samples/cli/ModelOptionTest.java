package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Mlp;
import io.github.actclip.nn.models.MlpOptions;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.ResNet;
import io.github.actclip.nn.models.ResNetOptions;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --model} and {@code --weights}: networks other than {@code Net}. */
class ModelOptionTest {

  static {
    LibTorch.load();
  }

  private static final String SMALL = "--model=resnet20 --width=4 --batch-size=200 --device=cpu";

  @TempDir static Path data;

  @TempDir Path folder;

  @BeforeAll
  static void writeData() throws Exception {
    FewImages.write(data);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--model=mlp --width=32 | 2 | Mlp",
        "--model=MLP --width=32 --clip=none | 0 | Mlp",
        "--model=resnet20 --width=4 --normalize | 19 | ResNet",
        "--model=resnet20 --width=4 --clip=generalized_relu | 19 | ResNet",
        "--model=resnet20 --width=4 --activation-bits=4 --weight-bits=4 | 19 | ResNet",
        "--model=resnet18 --width=4 --clip=soft --calibrate=max | 17 | ResNet",
        "--model=mobilenet_v2 --width=0.1 --per-channel | 35 | MobileNetV2",
      })
  void everyNetworkIsTrainedAndEvaluatedTheSame(String options, int thresholds, String kind)
      throws Exception {
    Path out = folder.resolve("run");
    Result result = train(options + " --epochs=1 --batch-size=200", out);
    assertEquals(0, result.status(), result.err());
    String line = "thresholds           " + thresholds + ", from ";
    assertEquals(
        thresholds == 0 ? 0 : 1,
        result.out().lines().filter(l -> l.startsWith(line)).count(),
        result.out());
    assertFalse(result.out().contains("act_max"), result.out());
    assertEquals(kind, RunSummary.read(out).network());
    String report = Files.readString(out.resolve("report.html"));
    assertTrue(report.contains("<th scope=\"row\">image size</th><td>32</td>"), report);
    for (String model : List.of("", "model.safetensors")) {
      Result evaluation =
          InThisJvm.run(
              "evaluate", "--model=" + out.resolve(model), "--data=" + data, "--device=cpu");
      assertEquals(0, evaluation.status(), evaluation.err());
      assertEquals(result.test(), evaluation.test());
    }
  }

  @Test
  void goesOnToTheSameBits() throws Exception {
    Path straight = folder.resolve("straight");
    Path broken = folder.resolve("broken");
    train(SMALL + " --epochs=2", straight);
    Result stopped = train(SMALL + " --epochs=2 --stop-after-epoch=1", broken);
    assertEquals(0, stopped.status(), stopped.err());
    Result on = Forked.start("train", "--resume=" + broken, "--device=cpu").await();
    assertEquals(0, on.status(), on.err());
    Path model = Path.of("model.safetensors");
    assertEquals(-1, Files.mismatch(straight.resolve(model), broken.resolve(model)));
  }

  @Test
  void startsFromWeightsAndCalibratesTheThresholdsThatTheyHaveNot() throws Exception {
    Path file = write(new ResNet(resNet(10, ActivationOptions.relu())));
    Result result = train(SMALL + " --epochs=1 --lr=1e-30 --weights=" + file, folder.resolve("a"));
    assertEquals(0, result.status(), result.err());
    String said = file + " has no value for 19 thresholds; on activations, they start ";
    assertTrue(
        result.err().contains(said + "from the first batch (--calibrate percentile)"),
        result.err());
    assertFalse(result.out().contains(", from 6.000 to 6.000"), result.out());
    Result evaluation =
        InThisJvm.run(
            ("evaluate --model=resnet20 --width=4 --weights=" + file + " --data=" + data)
                .split(" "));
    assertEquals(0, evaluation.status(), evaluation.err());

    Result fixed =
        train(
            SMALL + " --epochs=1 --lr=1e-30 --threshold-init=3 --weights=" + file,
            folder.resolve("b"));
    assertTrue(fixed.err().contains(said + "at a fixed value"), fixed.err());
    assertTrue(fixed.out().contains("19, from 3.000 to 3.000"), fixed.out());
  }

  @Test
  void keepsTheThresholdsOfWeightsThatHaveThem() throws Exception {
    ClipOptions clip = new ClipOptions(ClipForm.RELU).initial(2);
    Path file = write(new ResNet(resNet(10, ActivationOptions.clip(clip))));
    Result result =
        train(SMALL + " --epochs=1 --lr=1e-30 --weights=" + file, folder.resolve("run"));
    assertFalse(result.err().contains("has no value"), result.err());
    assertTrue(result.out().contains("19, from 2.000 to 2.000"), result.out());
  }

  /** As those of ImageNet are, and as {@code DistributedDataParallel} names them. */
  @Test
  void weightsForOtherClassesAreAStartAndNoResult() throws Exception {
    Path file = folder.resolve("seven.pth");
    Network seven = new ResNet(resNet(7, ActivationOptions.relu()));
    TensorScope.run(
        () -> {
          Map<String, Tensor> named = new LinkedHashMap<>();
          StateDict.of(seven).forEach((name, tensor) -> named.put("module." + name, tensor));
          StateDict.write(file, named);
        });
    Result result = train(SMALL + " --epochs=1 --weights=" + file, folder.resolve("run"));
    assertEquals(0, result.status(), result.err());
    String classes = file + " is of a network of 7 classes, and the images are of 10";
    assertTrue(result.err().contains(classes + ": the last layer starts anew"), result.err());
    assertRefused(classes, "evaluate --model=resnet20 --width=4 --weights=" + file);
  }

  @Test
  void weightsOfAnotherNetworkAreRefused() throws Exception {
    Path file = write(new Mlp(new MlpOptions(3072, List.of(8, 8), 10, ActivationOptions.relu())));
    for (String command : List.of("evaluate --model=resnet20", "train --model=resnet20")) {
      assertRefused(
          file
              + " has no weights for this network. The state does not fit the module: missing:"
              + " conv1.weight, bn1.weight, bn1.bias, layer1.0.conv1.weight, layer1.0.bn1.weight and",
          command + " --weights=" + file);
    }
    Path said = folder.resolve("said.safetensors");
    Map<String, String> notes = Model.net(new Net().options()).notes();
    TensorScope.run(() -> StateDict.write(said, Map.of(), notes));
    assertRefused(
        said + " says itself what its network is like: evaluate --model " + said,
        "evaluate --model=net --weights=" + said);
    Path unknown = folder.resolve("unknown.safetensors");
    TensorScope.run(() -> StateDict.write(unknown, Map.of(), Map.of("actclip.model", "alexnet")));
    assertRefused(
        unknown + " says that it is of the network \"alexnet\", which is none of net, mlp,",
        "evaluate --model=" + unknown);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train --model=resnet_20 | mobilenet_v2; the nearest is resnet20",
        "train --model=mobilnet | is none of net, mlp, resnet20, resnet18, mobilenet_v2; the nearest is mobilenet_v2",
        "benchmark --model=mlb | the nearest is mlp",
        "benchmark clip --model=mlp | --model (mlp) is for step, forward, predict",
        "train --model=nets/mine.pt | --model (nets/mine.pt) is no file that is there: name a network",
        "train --model=src | --model (src) is a folder: name a network (net, mlp,",
        "train --model=pom.xml | --model (pom.xml) is a file: name its network",
        "train --width=64 | --width (64.0) is no option of net",
        "train --model=mlp --width=0.5 | --width (0.5) must be a whole number",
        "train --model=mlp --width=0 | a hidden width (0) must be 1 to",
        "train --model=mobilenet_v2 --width=9 | widthMultiplier (9) must be 0.05 to 8",
        "train --model=resnet18 --image-size=64 | The images of embedded are 32×32 and cannot be 64×64",
        "train --model=mlp --weights=none.pt | none.pt is not a file",
        "evaluate --model=resnet18 | --model (resnet18) is a network without weights",
        "evaluate --model=src --width=3 | --width (3.0) goes with --weights",
        "evaluate --model=src --image-size=64 | --image-size (64) goes with --weights",
        "evaluate --model=resnet_18 --weights=none.pt | the nearest is resnet18"
      })
  void badInputIsOneLine(String args, String reason) {
    assertRefused(reason, args);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--model=resnet20", "--weights=x.pt", "--width=4"})
  void aTrainingThatGoesOnHasItsNetwork(String option) {
    assertRefused("leave out " + option.split("=")[0], "train --resume=" + folder + " " + option);
  }

  private static ResNetOptions resNet(int classes, ActivationOptions activation) {
    return new ResNetOptions(ResNetOptions.Stem.CIFAR, List.of(3, 3, 3), 4, 3, classes, activation);
  }

  private Path write(Network network) {
    Path file = folder.resolve("weights.pt");
    TensorScope.run(() -> StateDict.write(file, StateDict.of(network)));
    return file;
  }

  private static Result train(String options, Path out) throws Exception {
    List<String> command = new ArrayList<>(List.of("train", "--data=" + data, "--out=" + out));
    Stream.of(options.split(" ")).forEach(command::add);
    return Forked.start(command.toArray(String[]::new)).await();
  }

  private static void assertRefused(String reason, String command) {
    Result result = InThisJvm.run(command.split(" "));
    assertEquals(2, result.status(), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().contains(reason), result.err());
  }
}
