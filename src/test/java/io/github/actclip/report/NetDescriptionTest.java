package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.TestData;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.ThresholdRule;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.Evaluation;
import io.github.actclip.train.Evaluator;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Device;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A file of weights says which network they are of, and which images it takes. */
class NetDescriptionTest {

  static {
    LibTorch.load();
  }

  private static final ImageDataset IMAGES = TestData.first(300);
  private static final NetOptions NET =
      NetOptions.original()
          .with(
              ActivationOptions.of(ClipForm.TIED, ThresholdRule.SUM)
                  .quantized(QuantizationMethod.TQT, 4, 0));

  @TempDir Path folder;

  @Test
  void theWeightsOfATrainingAreTestedAsItTestedThem() {
    Device device = Devices.of("cpu");
    TrainerOptions options =
        TrainerOptions.builder(OptimizerType.ADAMW)
            .epochs(1)
            .normalization(Normalization.of(IMAGES))
            .build();
    Net net = new Net(NET);
    RunDirectory directory = RunDirectory.create(folder.resolve("run"));
    EpochMetrics last =
        new Trainer(
                net,
                options,
                device,
                List.of(directory.recorder(net, metrics -> summary(options, metrics))))
            .fit(IMAGES, IMAGES)
            .get(0);

    Path file = directory.folder().resolve("model.safetensors");
    NetDescription read = NetDescription.read(file);
    assertEquals(new NetDescription(NET, options.normalization()), read);
    Evaluation again = Evaluator.evaluate(read.load(file), IMAGES, read.normalization(), device);
    assertEquals(last.testLoss(), again.loss());
    assertEquals(last.testLoss(), evaluate(directory, options, device));
  }

  private static double evaluate(RunDirectory directory, TrainerOptions options, Device device) {
    return Evaluator.evaluate(directory.loadNet(), IMAGES, options.normalization(), device).loss();
  }

  private static RunSummary summary(TrainerOptions options, EpochMetrics last) {
    return new RunSummary(
        "embedded", "test", 300, 300, "cpu", NET, options, RuntimeInfo.current(), false, last);
  }

  @ParameterizedTest
  @ValueSource(strings = {"net.safetensors", "net.pt"})
  void aFileThatSaysNothingIsOfTheOriginal(String name) {
    Path file = folder.resolve(name);
    Net net = new Net();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(net)));
    NetDescription read = NetDescription.read(file);
    assertEquals(new NetDescription(NetOptions.original(), Normalization.none()), read);
    assertEquals(NetOptions.original(), read.load(file).options());
  }

  @ParameterizedTest
  @CsvSource({
    "actclip.net, {}",
    "actclip.net, null",
    "actclip.normalization, '{\"mean\": [0, 0, 0], \"std\": [1, 0, 1]}'",
    "actclip.normalization, ["
  })
  void aDamagedTextIsOneSentence(String name, String text) {
    Path file = folder.resolve("net.pt");
    TensorScope.run(() -> StateDict.write(file, Map.of(), Map.of(name, text)));
    ActclipException e = assertThrows(ActclipException.class, () -> NetDescription.read(file));
    assertTrue(e.isBadInput());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    assertTrue(
        e.getMessage().contains(file + " has a damaged text \"" + name + "\": "), e.getMessage());
  }

  /** Another network than the one that the texts describe. */
  @Test
  void weightsThatAreNotWhatTheFileSaysAreRefused() {
    Path file = folder.resolve("net.safetensors");
    Net net = new Net();
    Map<String, String> texts = new NetDescription(NET, Normalization.none()).toMetadata();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(net), texts));
    NetDescription read = NetDescription.read(file);
    ActclipException e = assertThrows(ActclipException.class, () -> read.load(file));
    assertTrue(e.getMessage().contains("act_raw_max"), e.getMessage());
  }

  /** Before it asks for the 267 terabytes. */
  @Test
  void aFileBoundsTheMemoryOfItsNetwork() {
    Path file = folder.resolve("net.safetensors");
    Net net = new Net();
    NetOptions huge = new NetOptions(4096, 4096, 1_000_000);
    Map<String, String> texts = new NetDescription(huge, Normalization.none()).toMetadata();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(net), texts));
    NetDescription read = NetDescription.read(file);
    ActclipException e = assertThrows(ActclipException.class, () -> read.load(file));
    assertTrue(e.isBadInput());
    assertEquals(
        file
            + " holds 69707 numbers, and the network that it is said to be of has 66716227328000"
            + " weights",
        e.getMessage());
  }
}
