package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.data.Augmentation;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.samples.quickstart.FineTuneThreshold;
import io.github.actclip.train.Evaluator;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The command line from end to end. */
class CommandLineTest {

  private static final List<String> FILES =
      List.of(
          "checkpoints",
          "listeners.properties",
          "metrics.csv",
          "metrics.jsonl",
          "model.safetensors",
          "report.html",
          "steps.jsonl",
          "summary.json");

  @TempDir static Path data;
  @TempDir static Path shared;
  private static Path trained;
  private static Result training;

  @TempDir Path folder;

  @BeforeAll
  static void train() throws Exception {
    FewImages.write(data);
    trained = shared.resolve("trained");
    training =
        Forked.start("train", "--epochs", "2", "--seed", "1", "--out", trained.toString()).await();
  }

  @Test
  void trainPrintsTheAccuracyAndWritesItsResults() throws IOException {
    assertEquals(0, training.status(), training.err());
    assertTrue(training.accuracy() > 75, training.out());
    assertTrue(training.out().contains(trained.resolve("report.html").toString()));
    assertTrue(training.err().contains("100%"), training.err());
    assertTrue(training.err().contains("(0:00:"), training.err());
    assertEquals(FILES, files(trained));
  }

  @Test
  void versionIsPrintedAlsoWhereLibTorchCannotBeLoaded() throws Exception {
    List<String> unloadable = List.of("-D" + LibTorch.THREADS_PROPERTY + "=none");
    Result version = Forked.start(unloadable, Main.class, "--version").await();
    assertEquals(0, version.status(), version.err());
    assertTrue(version.out().matches("actclip .+, LibTorch presets 2\\..+\\R"), version.out());
    assertEquals(2, Forked.start(unloadable, Main.class, "info").await().status());
  }

  @Test
  void evaluatePrintsTheSameAccuracyToTheLastDigit() throws Exception {
    Result evaluation = Forked.start("evaluate", "--model", trained.toString()).await();
    assertEquals(0, evaluation.status(), evaluation.err());
    assertEquals(training.test(), evaluation.test());
  }

  @Test
  void evaluateTakesTheWeightsAlone() throws Exception {
    Path safetensors = trained.resolve("model.safetensors");
    Path pytorch = folder.resolve("model.pt");
    TensorScope.run(() -> StateDict.write(pytorch, StateDict.read(safetensors)));
    for (Path weights : List.of(safetensors, pytorch)) {
      Result evaluation = InThisJvm.run("evaluate", "--model", weights.toString());
      assertEquals(0, evaluation.status(), evaluation.err());
      assertEquals(training.test(), evaluation.test());
    }
  }

  /** The file says how the network clips, and how its images were normalised. */
  @Test
  void evaluateTestsTheWeightsAloneAsTheyWereTrained() throws Exception {
    ImageDataset test = ImageDataset.load(data, Split.TEST);
    Normalization normalization = Normalization.of(test);
    NetOptions options =
        NetOptions.original()
            .with(ActivationOptions.original().quantized(QuantizationMethod.TQT, 4, 4));
    Map<String, String> texts =
        new ModelDescription(Model.net(options), Augmentation.none(), normalization).notes();
    Net net = new Net(options);
    double loss =
        Evaluator.evaluate(net, test.transformed(normalization), Devices.of("cpu")).loss();
    for (String name : List.of("net.safetensors", "net.pt")) {
      Path file = folder.resolve(name);
      TensorScope.run(() -> StateDict.write(file, StateDict.of(net), texts));
      Result evaluation =
          InThisJvm.run("evaluate", "--model=" + file, "--data=" + data, "--device=cpu");
      assertEquals(0, evaluation.status(), evaluation.err());
      assertTrue(evaluation.out().lines().anyMatch(l -> l.endsWith(" " + loss)), evaluation.out());
    }
  }

  @Test
  void theSameSeedGivesTheSameNetwork() throws Exception {
    Path once = folder.resolve("once");
    Path again = folder.resolve("again");
    trainOnFew(2, once).await();
    trainOnFew(2, again).await();
    assertEquals(
        -1, Files.mismatch(again.resolve("model.safetensors"), once.resolve("model.safetensors")));
  }

  @Test
  void ctrlCSavesWhatThereIs() throws Exception {
    Forked.assumeCtrlCIsHeard();
    Path out = folder.resolve("stopped");
    Forked program = trainOnFew(1000, out);
    program.awaitFile(out.resolve("summary.json"));
    program.interrupt();
    Result result = program.await();

    assertEquals(130, result.status(), result.err());
    assertTrue(result.out().contains("stopped"), result.out());
    assertFalse(result.err().contains("WARN"), result.err());
    assertEquals(FILES, files(out));
    Result evaluation = InThisJvm.run("evaluate", "--model", out.toString());
    assertEquals(result.test(), evaluation.test());
  }

  @Test
  void itServesUntilCtrlC() throws Exception {
    Forked.assumeCtrlCIsHeard();
    Forked program = Forked.start("serve", "--model", trained.toString(), "--port=0");
    String address = program.awaitLine();
    assertTrue(address.matches("http://localhost:[0-9]+/"), address);
    HttpClient client = HttpClient.newHttpClient();
    HttpRequest ready = HttpRequest.newBuilder(URI.create(address + "readyz")).build();
    assertEquals(200, client.send(ready, BodyHandlers.discarding()).statusCode());
    Path image = Path.of("../../src/test/resources/fixtures/images/grey.png");
    HttpRequest asked =
        HttpRequest.newBuilder(URI.create(address + "predict?top=1"))
            .header("Content-Type", "image/png")
            .POST(BodyPublishers.ofFile(image))
            .build();
    String answer = client.send(asked, BodyHandlers.ofString()).body();
    assertTrue(answer.matches(".*\"label\":\"[a-zA-Z/ -]+\".*"), answer);
    program.interrupt();
    Result result = program.await();
    assertEquals(130, result.status());
    assertEquals("", result.err());
  }

  /** An address of no machine, for documentation, and a name of none. */
  @ParameterizedTest
  @ValueSource(strings = {"192.0.2.1", "no-such-host.invalid"})
  void anAddressOfAnotherMachineIsOneLineAndStatus2(String host) {
    Result result =
        InThisJvm.run("serve", "--model=" + trained, "--port=0", "--device=cpu", "--host=" + host);
    assertEquals(2, result.status(), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().contains("cannot listen at " + host + ", port 0"), result.err());
  }

  @Test
  void infoSaysWhatItRunsOn() throws Exception {
    Result info = Forked.start("info", "--threads", "1").await();
    assertEquals(0, info.status(), info.err());
    for (String row :
        List.of(
            "LibTorch presets     2.10.0",
            "threads              1 for LibTorch, 1 for OpenBLAS",
            "memory format        ChannelsLast",
            "device ",
            "clip backend ",
            "cache folder ")) {
      assertTrue(info.out().contains(row), info.out());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "train", "evaluate", "predict", "export", "serve", "benchmark", "info"})
  void helpIsEverywhere(String verb) throws Exception {
    String[] args = verb.isEmpty() ? new String[] {"--help"} : new String[] {verb, "--help"};
    Result help = InThisJvm.run(args);
    assertEquals(0, help.status());
    assertTrue(help.out().startsWith("Usage: samples/run" + (verb.isEmpty() ? "" : " " + verb)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "fly | Unmatched argument at index 0: 'fly'",
        "train --speed 3 | Unknown options: '--speed', '3'",
        "train --epochs many | 'many' is not an int",
        "train --epochs 0 | epochs (0) must be at least 1",
        "train --batch-size -1 | batchSize (-1) must be at least 1",
        "train --optimizer magic | expected one of [SGD, ADAM, ADAMW]",
        "train --lr 0 | learningRate (0.0) must be above 0",
        "train --optimizer adam --momentum 0.5 | the momentum (0.5) is an option of sgd",
        "train --schedule slow | expected one of [CONSTANT, STEP, COSINE, ONE_CYCLE, REDUCE_ON_PLATEAU]",
        "train --warm-up 5 | warmUpSteps (5) is an option of any schedule but ONE_CYCLE",
        "train --schedule cosine --warm-up -5 | warmUpSteps (-5) must be at least 0",
        "train --step-size 3 | stepSize (3) is an option of STEP",
        "train --schedule step --gamma 2 | gamma (2.0) must be above 0 and at most 1",
        "train --plateau-factor 0.5 | factor (0.5) is an option of REDUCE_ON_PLATEAU",
        "train --plateau-patience 3 | patience (3) is an option of REDUCE_ON_PLATEAU",
        "train --accumulate 0 | accumulation (0) must be at least 1",
        "train --max-grad-norm -1 | maxGradNorm (-1.0) must be at least 0",
        "train --precision int8 | expected one of [FLOAT32, BFLOAT16, FLOAT16]",
        "train --precision float16 --device cpu | the precision (float16) is for GPUs only",
        "train --crop-padding 32 | cropPadding (32) must be 0 to 31",
        "train --threads 0 | threads (0) must be 1 to 1024",
        "train --threads 100000 | threads (100000) must be 1 to 1024",
        "train --lr 1e300 | learningRate (1.0E300) must be above 0 and fit into a float",
        "train --clip hard | expected one of [TIED, RELU, TWO_SIDED, UNTIED, SOFT,",
        "train --clip soft --clip-beta 0 | beta (0.0) must be above 0",
        "train --threshold-gradient guess | expected one of [SUM, MEAN, SUM_OF_MEANS, LSQ, FROZEN]",
        "train --threshold-init -1 | the threshold max (-1.0) must be a finite number above 0",
        "train --threshold-floor 2 | the threshold max (1.0) must be at least its floor (2.0)",
        "train --threshold-lr -1 | thresholdLearningRateFactor (-1.0) must be at least 0",
        "train --weight-decay -1 | weightDecay (-1.0) must be at least 0",
        "train --checkpoint-every 0 | everySteps (0) must be at least 1",
        "train --checkpoint-minutes -1 | every (PT-1M) must be a time above 0",
        "train --checkpoint-minutes NaN | every (PT0S) must be a time above 0",
        "train --keep-checkpoints 0 | keep (0) must be at least 1",
        "train --stop-after-epoch 0 | --stop-after-epoch (0) must be at least 1",
        "train --early-stopping 0 | patience (0) must be at least 1",
        "train --threshold-decay -1 | thresholdWeightDecay (-1.0) must be at least 0",
        "train --activation-bits 1 | activationBits (1) must be 2 to 8",
        "train --weight-bits 16 | weightBits (16) must be 2 to 8",
        "train --activation-bits 4 --clip soft | form (SOFT) must be TIED with activation bits",
        "train --clip soft --threshold-gradient mean | gradient (a rule other than SUM and FROZEN) is",
        "train --clip-beta 5 | beta (5.0) is no option of the form TIED",
        "train --quantizer lsq | quantization (LSQ) must be PACT without bits",
        "train --threshold-floor NaN | the floor (NaN) must be a number",
        "train --cut-bandwidth -1 | cutBandwidth (-1.0) must be at least 0",
        "train --calibrate mean | expected one of [MAX, PERCENTILE, MSE, KL]",
        "train --device tpu | the device (tpu) must be one of auto, cpu, cuda, cuda:N",
        "train --data /no/such/folder | /no/such/folder",
        "evaluate | Missing required option: '--model=DIR",
        "evaluate --model pom.xml | pom.xml must end in .safetensors, or for PyTorch's own format",
        "evaluate --model /no/such/folder | /no/such/folder is not the folder of a training",
        "serve | Missing required option: '--model=DIR",
        "serve --model /no/such/folder | /no/such/folder is not the folder of a training",
        "serve --model src | src is not the folder of a training",
        "serve --model src --port 65536 | --port (65536) must be 0 to 65535",
        "benchmark --rounds 0 | --rounds ([0]) must be at least 1",
        "benchmark clip --sizes 0 | --sizes ([0]) must be at least 1",
        "benchmark --batch-sizes 8,-1 | --batch-sizes ([8, -1]) must be at least 1",
        "benchmark --threads 0 | threads (0) must be 1 to 1024",
        "benchmark --precision float16 | --precision (float16) must be float32 or bfloat16",
        "benchmark jump | Unmatched argument at index 1: 'jump'"
      })
  void badInputIsOneLineAndStatus2(String args, String reason) throws Exception {
    Result result = InThisJvm.run(args.split(" "));
    assertEquals(2, result.status(), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().startsWith("samples/run: "), result.err());
    assertTrue(result.err().contains(reason), result.err());
    assertEquals("", result.out());
  }

  /** Half a surrogate pair, which no charset has, as ASCII has no é. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "train --data=",
        "train --out=",
        "train --resume=",
        "evaluate --model=",
        "serve --model=",
        "benchmark clip --json=",
        "benchmark scaling --plot="
      })
  void aNameThatNoFileCanHaveIsOneLineAndStatus2(String args) {
    Result result = InThisJvm.run((args + "a\ud800").split(" "));
    assertEquals(2, result.status(), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().contains("cannot be the name of a file ("), result.err());
    assertTrue(result.err().contains("set a UTF-8 locale"), result.err());
  }

  @Test
  void badInputEndsTheProcessWithStatus2() throws Exception {
    Result result = Forked.start("train", "--epochs", "0").await();
    assertEquals(2, result.status(), result.err());
    assertEquals("samples/run: epochs (0) must be at least 1\n", result.err());
    assertEquals("", result.out());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--threshold-init=-1",
        "--batch-size=0",
        "--max-grad-norm=NaN --tensorboard",
        "--device=cuda:99",
        "--precision=float16",
        "--threads=0",
        "--accumulate=0",
        "--lr=NaN",
        "--early-stopping=0",
        "--stop-after-epoch=0",
        "--keep-checkpoints=0",
        "--checkpoint-every=0",
        "--checkpoint-minutes=0",
        "--calibrate=max --batch-size=-1",
        "--data=nowhere",
        "--warm-up=3"
      })
  void badInputLeavesNoFolder(String options) throws Exception {
    Path out = folder.resolve("parent/none");
    Result result = InThisJvm.run(("train " + options + " --out=" + out).split(" "));
    assertEquals(2, result.status(), result.err());
    assertFalse(Files.exists(out.getParent()));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--batch-sizes=0",
        "--sizes=-1",
        "--rounds=0",
        "--threads=0",
        "--device=cuda:99",
        "--precision=float16",
        "--plot=nowhere/plot.png"
      })
  void badInputLeavesNoMeasurements(String options) throws Exception {
    Path json = folder.resolve("benchmark.json");
    Result result =
        InThisJvm.run(("benchmark clip scaling " + options + " --json=" + json).split(" "));
    assertEquals(2, result.status(), result.err());
    assertFalse(Files.exists(json));
  }

  @Test
  void whereMeasurementsCannotBeWrittenIsSaidBefore() throws Exception {
    Path pipe = folder.resolve("pipe");
    assumeTrue(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor() == 0);
    for (Path file : List.of(folder, folder.resolve("none/benchmark.json"), pipe)) {
      Result result = InThisJvm.run("benchmark", "clip", "--json=" + file);
      assertEquals(2, result.status(), result.err());
      assertTrue(result.err().contains("--json (" + file + ") cannot be written"), result.err());
    }
    Path both = folder.resolve("both");
    Result result = InThisJvm.run("benchmark", "scaling", "--json=" + both, "--plot=" + both);
    assertEquals(2, result.status(), result.err());
    assertFalse(Files.exists(both));
  }

  @Test
  void resultsAreNotOverwritten() throws Exception {
    Result result = InThisJvm.run("train", "--out", trained.toString());
    assertEquals(2, result.status(), result.err());
    assertTrue(result.err().contains("already holds the results"), result.err());
  }

  @Test
  void aDamagedNetworkIsOneLine() throws Exception {
    Path damaged = Files.createDirectory(folder.resolve("damaged"));
    for (String file : FILES) {
      Files.copy(trained.resolve(file), damaged.resolve(file));
    }
    byte[] model = Files.readAllBytes(trained.resolve("model.safetensors"));
    Files.write(damaged.resolve("model.safetensors"), java.util.Arrays.copyOf(model, 1000));
    Result result = InThisJvm.run("evaluate", "--model", damaged.toString());
    assertEquals(2, result.status(), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertTrue(result.err().contains("model.safetensors"), result.err());
  }

  @Test
  void theThresholdIsFineTunedAlone() throws Exception {
    Result result = Forked.start(FineTuneThreshold.class, trained.toString()).await();
    assertEquals(0, result.status(), result.err());
    List<String> lines = result.out().lines().toList();
    assertTrue(lines.get(0).startsWith("before act_max "), result.out());
    assertTrue(lines.get(1).startsWith("after  act_max "), result.out());
    assertFalse(lines.get(0).substring(7, 23).equals(lines.get(1).substring(7, 23)), result.out());
  }

  private static Forked trainOnFew(int epochs, Path out) throws IOException {
    return Forked.start(
        "train", "--data=" + data, "--epochs=" + epochs, "--seed=1", "--out=" + out);
  }

  static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
