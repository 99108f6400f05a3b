package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.io.StateDict;
import io.github.actclip.nn.models.ScriptModule;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --model} of a network that Python has scripted. */
class ScriptOptionTest {

  static {
    LibTorch.load();
  }

  /** Of the library's tests: two rectifiers, one of them a ReLU6, a dropout, and five outputs. */
  private static final Path SCRIPTS = Path.of("../../src/test/resources/fixtures/scripted");

  private static final String SMALL = "--model=" + SCRIPTS.resolve("small.pt");
  private static final String CALIBRATED =
      "small.pt has no value for 2 thresholds; on activations, they start ";

  @TempDir static Path data;

  @TempDir Path folder;

  /** Five classes that differ in their colour. */
  @BeforeAll
  static void writeImages() throws IOException {
    Random random = new Random(0);
    for (int i = 0; i < 50; i++) {
      BufferedImage image = new BufferedImage(16, 16, BufferedImage.TYPE_INT_RGB);
      for (int at = 0; at < 256; at++) {
        int level = 50 * (i % 5) + random.nextInt(50);
        image.setRGB(at % 16, at / 16, level << 16 | level / 2 << 8 | 255 - level);
      }
      Path file = data.resolve((i < 40 ? "train/" : "test/") + "class" + i % 5 + "/" + i + ".png");
      Files.createDirectories(file.getParent());
      assertTrue(ImageIO.write(image, "png", file.toFile()));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--normalize | 2 | from the first batch (--calibrate percentile)",
        "--clip=tied --calibrate=max | 2 | from the first batch (--calibrate max)",
        "--threshold-init=3 --lr=1e-30 | 2 | at a fixed value",
        "--clip=none | 0 |"
      })
  void isTrainedEvaluatedAndKept(String options, int thresholds, String start) throws Exception {
    Path out = folder.resolve("run");
    Result result = train("--model=" + trained() + " " + options + " --epochs=1", out);
    assertEquals(0, result.status(), result.err());
    if (thresholds == 0) {
      assertFalse(result.out().contains("thresholds "), result.out());
    } else {
      assertTrue(result.err().contains(CALIBRATED + start), result.err());
      assertTrue(result.out().contains("thresholds           2, from "), result.out());
      assertTrue(Files.readString(out.resolve("report.html")).contains("clip1.max"));
    }
    assertEquals("script", RunSummary.read(out).notes().get("actclip.model"));
    assertEquals(thresholds, ScriptModule.load(out.resolve("module.pt")).thresholds().size());
    for (String model : List.of("", "model.safetensors")) {
      Result evaluation =
          InThisJvm.run(
              "evaluate", "--model=" + out.resolve(model), "--data=" + data, "--device=cpu");
      assertEquals(0, evaluation.status(), evaluation.err());
      assertEquals(result.test(), evaluation.test());
    }
  }

  /** The same whose batch normalisation has counted a batch. */
  private Path trained() {
    Path file = folder.resolve("small.pt");
    ScriptModule module = ScriptModule.load(SCRIPTS.resolve("small.pt"));
    module.train(true);
    TensorScope.run(() -> module.forward(torch.randn(8, 3, 16, 16)));
    module.save(file);
    return file;
  }

  @Test
  void aNetworkThatWasNotTrainedStartsAsOneThatIsMadeAnew() throws Exception {
    Result result = train(SMALL + " --epochs=1 --lr=1e-30", folder.resolve("six"));
    assertFalse(result.err().contains("has no value"), result.err());
    assertTrue(result.out().contains("2, from 6.000 to 6.000"), result.out());
    Result calibrated =
        train(SMALL + " --epochs=1 --lr=1e-30 --calibrate=max", folder.resolve("max"));
    assertEquals(0, calibrated.status(), calibrated.err());
    assertFalse(calibrated.out().contains("from 6.000"), calibrated.out());
  }

  /** Dropout and momentum included. */
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

    Path module = broken.resolve("module.pt");
    Files.write(module, Arrays.copyOf(Files.readAllBytes(module), 5_000));
    assertRefused(module + " is not a file of TorchScript", "evaluate --model=" + broken);
    assertRefused(module + " is not a file of TorchScript", "train --epochs=3 --resume=" + broken);
    Files.delete(module);
    for (Path from : List.of(broken, broken.resolve(model))) {
      assertRefused(
          module + " is missing, which has the network that the weights of " + from + " are of",
          "evaluate --model=" + from);
    }
    assertRefused(module + " is missing", "train --epochs=3 --resume=" + broken);
  }

  /** As the network of another training has them, or a user's own program. */
  @Test
  void keepsTheClipsThatItHas() throws Exception {
    Path clipped = folder.resolve("clipped");
    train(SMALL + " --epochs=1 --threshold-init=3 --lr=1e-30", clipped);
    String model = "--model=" + clipped.resolve("module.pt");
    Result result = train(model + " --epochs=1 --lr=1e-30", folder.resolve("again"));
    assertEquals(0, result.status(), result.err());
    assertFalse(result.err().contains("has no value"), result.err());
    assertTrue(result.out().contains("2, from 3.000 to 3.000"), result.out());
    assertRefused("has clips already, which stay as they are", "train --clip=tied " + model);
  }

  /** Without clips, which is what Python tests. */
  @Test
  void aFileIsTestedAsItIs() throws Exception {
    Path plain = folder.resolve("plain");
    train(SMALL + " --clip=none --epochs=1", plain);
    Result trained = InThisJvm.run("evaluate", "--model=" + plain, "--device=cpu");
    Path file = folder.resolve("trained.pt");
    ScriptModule network = ScriptModule.load(plain.resolve("module.pt"));
    TensorScope.run(
        () -> StateDict.load(network, StateDict.read(plain.resolve("model.safetensors"))));
    network.save(file);
    Result evaluation = InThisJvm.run(("evaluate " + usual() + " --model=" + file).split(" "));
    assertEquals(0, evaluation.status(), evaluation.err());
    assertEquals(trained.test(), evaluation.test());

    Path exported = folder.resolve("exported.pt");
    Result export =
        InThisJvm.run(
            ("export --format=torchscript --model=" + plain + " --out=" + exported).split(" "));
    assertEquals(0, export.status(), export.err());
    evaluation = InThisJvm.run(("evaluate " + usual() + " --model=" + exported).split(" "));
    assertEquals(trained.test(), evaluation.test());
    assertRefused(
        "is a network of TorchScript, of which nothing is known layer by layer",
        "export --format=onnx --model=" + plain + " --out=" + folder.resolve("a.onnx"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "traced_eval.pt | was traced, which fixes what training would change",
        "boxes.pt | needs the operator torchvision::nms",
        "small.pt --width=2 | --width (2.0) is no option of",
        "small.pt --weights=x.pt | --weights (x.pt) goes with a network's name",
        "relu6.pt | makes a tensor of 4 dimensions of an image, and the images are of 5 classes",
        "shared.pt | cannot take images of 3×16×16: the network fails on data of shape [1, 3, 16, 16]"
      })
  void networksThatDoNotFitAreRefused(String model, String reason) {
    assertRefused(reason, "train " + usual() + " --model=" + SCRIPTS.resolve(model));
    assertRefused(reason, "evaluate " + usual() + " --model=" + SCRIPTS.resolve(model));
  }

  @Test
  void aFileIsMeasuredWithClipsAndAsItIs() {
    String few = " --batch-sizes=2 --threads=1 --rounds=1 --device=cpu";
    String model = " --model=" + SCRIPTS.resolve("small.pt");
    Result result = InThisJvm.run(("benchmark" + model + few).split(" "));
    assertEquals(0, result.status(), result.err());
    for (String part : List.of("step", "forward")) {
      for (String who : List.of("actclip", "as it is")) {
        assertTrue(
            result
                .out()
                .lines()
                .anyMatch(line -> line.startsWith(part + " ") && line.contains(" " + who + " ")),
            result.out());
      }
    }
    assertRefused("are of net or of no network", "benchmark clip" + model);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "relu6.pt | makes a tensor of 4 dimensions of images",
        "shared.pt | cannot take images of 3×32×32: the network fails on data of shape [1, 3, 32, 32]",
        "traced_eval.pt | was traced, which fixes what training would change",
        "expected.json | has no network in it"
      })
  void filesThatCannotBeMeasuredAreRefused(String model, String reason) {
    assertRefused(reason, "benchmark step --device=cpu --model=" + SCRIPTS.resolve(model));
  }

  @Test
  void oneOfOtherClassesIsRefused() {
    String reason = "small.pt makes 5 numbers of an image, and the images are of 10 classes";
    assertRefused(reason, "train " + SMALL);
    assertRefused(reason, "evaluate " + SMALL);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--per-channel | leave out --per-channel, --activation-bits and --weight-bits",
        "--activation-bits=4 | leave out --per-channel, --activation-bits and --weight-bits",
        "--weight-bits=4 | leave out --per-channel, --activation-bits and --weight-bits",
        "--clip=soft | form (SOFT) must be RELU or TIED in a module of TorchScript",
        "--clip=none --threshold-init=3 | initial (3.0) is no option of the form NONE",
        "--threshold-floor=1 | floor (1.0) must be -Infinity in a module of TorchScript"
      })
  void optionsThatAScriptHasNotAreRefused(String options, String reason) {
    assertRefused(reason, "train " + usual() + " " + SMALL + " " + options);
  }

  @Test
  void oneWithNothingToClipIsRefused() {
    Path sigmoid = SCRIPTS.resolve("sigmoid.pt");
    assertRefused(sigmoid + " has nothing to clip", "train " + usual() + " --model=" + sigmoid);
  }

  @Test
  void aStateDictHasNoNetwork() {
    Path file = folder.resolve("state.pt");
    TensorScope.run(() -> StateDict.write(file, Map.of()));
    assertRefused(
        "--model (" + file + ") is a file: name its network (net, mlp,", "train --model=" + file);
  }

  private static String usual() {
    return "--image-size=16 --device=cpu --data=" + data;
  }

  private static Result train(String options, Path out) throws Exception {
    List<String> command = new ArrayList<>(List.of("train", "--batch-size=10", "--out=" + out));
    Stream.of(usual().split(" ")).forEach(command::add);
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
