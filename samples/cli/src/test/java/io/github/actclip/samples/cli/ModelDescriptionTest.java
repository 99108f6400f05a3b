package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.data.Augmentation;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.io.Json;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.report.RunSummary;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
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
class ModelDescriptionTest {

  static {
    LibTorch.load();
  }

  private static final ImageDataset IMAGES = ImageDataset.embedded(Split.TEST);
  private static final NetOptions NET =
      NetOptions.original()
          .with(ActivationOptions.original().quantized(QuantizationMethod.TQT, 4, 0));

  private static final ModelDescription ORIGINAL =
      new ModelDescription(
          Model.net(NetOptions.original()), Augmentation.none(), Normalization.none());

  @TempDir Path folder;

  private static ModelDescription read(Path file) {
    return ModelDescription.of(StateDict.readMetadata(file), file);
  }

  @Test
  void theWeightsOfATrainingAreTestedAsItTestedThem() {
    Device device = Devices.of("cpu");
    TrainerOptions options = TrainerOptions.builder(OptimizerType.ADAMW).epochs(1).build();
    ModelDescription given =
        new ModelDescription(Model.net(NET), new Augmentation(2, true), Normalization.of(IMAGES));
    Trainer trainer = new Trainer(new Net(NET), options, device);
    given.notes().forEach(trainer::note);
    EpochMetrics last;
    try (Run run = Run.in(folder)) {
      last = trainer.with(run).fit(given.training(IMAGES), given.testing(IMAGES)).get(0);
    }

    Path file = folder.resolve(Run.MODEL);
    for (Map<String, String> notes :
        List.of(
            StateDict.readMetadata(file),
            RunSummary.read(folder).notes(),
            Run.newest(folder).notes())) {
      ModelDescription read = ModelDescription.of(notes, folder);
      assertEquals(given, read);
      Evaluation again = Evaluator.evaluate(read.load(file), read.testing(IMAGES), device);
      assertEquals(last.testLoss(), again.loss());
    }
  }

  @Test
  void imagesThatNothingChangesAreThemselves() {
    ModelDescription plain =
        new ModelDescription(Model.net(NET), Augmentation.none(), Normalization.none());
    assertSame(IMAGES, plain.training(IMAGES));
    assertFalse(plain.notes().containsKey("actclip.augmentation"));
    ModelDescription moved =
        new ModelDescription(Model.net(NET), new Augmentation(2, false), Normalization.none());
    assertEquals(1, moved.training(IMAGES).transforms().size());
    assertSame(IMAGES, moved.testing(IMAGES));
  }

  /** Rules are names in files, as they were when those were an enumeration. */
  @Test
  void aRuleIsItsNameInAFile() {
    for (ThresholdGradient rule : ThresholdGradient.named()) {
      NetOptions net =
          NetOptions.original()
              .with(ActivationOptions.clip(new ClipOptions(ClipForm.RELU).gradient(rule)));
      String text = Json.line(net);
      assertTrue(text.contains("\"form\":\"RELU\",\"rule\":\"" + rule + "\",\"initial\":1"), text);
      assertEquals(net, Json.read(text, NetOptions.class, "it"));
      String wrong = text.replace("\"" + rule + "\"", "\"OTHER\"");
      ActclipException e =
          assertThrows(ActclipException.class, () -> Json.read(wrong, NetOptions.class, "it"));
      assertTrue(e.getMessage().contains("the rule (OTHER) must be one of [SUM, "), e.getMessage());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"net.safetensors", "net.pt"})
  void aFileThatSaysNothingIsOfTheOriginal(String name) {
    Path file = folder.resolve(name);
    Net net = new Net();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(net)));
    ModelDescription read = read(file);
    assertEquals(ORIGINAL, read);
    assertEquals(NetOptions.original(), ((Net) read.load(file)).options());
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
    ActclipException e = assertThrows(ActclipException.class, () -> read(file));
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
    Map<String, String> texts =
        new ModelDescription(Model.net(NET), Augmentation.none(), Normalization.none()).notes();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(net), texts));
    ModelDescription read = read(file);
    ActclipException e = assertThrows(ActclipException.class, () -> read.load(file));
    assertTrue(e.getMessage().contains("act_raw_max"), e.getMessage());
  }

  /** Before it asks for the 267 terabytes. */
  @Test
  void aFileBoundsTheMemoryOfItsNetwork() {
    Path file = folder.resolve("net.safetensors");
    Net net = new Net();
    NetOptions huge = new NetOptions(4096, 4096, 1_000_000);
    Map<String, String> texts =
        new ModelDescription(Model.net(huge), Augmentation.none(), Normalization.none()).notes();
    TensorScope.run(() -> StateDict.write(file, StateDict.of(net), texts));
    ModelDescription read = read(file);
    ActclipException e = assertThrows(ActclipException.class, () -> read.load(file));
    assertTrue(e.isBadInput());
    assertEquals(
        file
            + " holds 69707 numbers, and the network that it is said to be of has 66716227328000"
            + " weights",
        e.getMessage());
  }
}
