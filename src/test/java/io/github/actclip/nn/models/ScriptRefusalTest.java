package io.github.actclip.nn.models;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.RandomCases;
import io.github.actclip.testing.Scripted;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.bytedeco.pytorch.JitModule;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What cannot be clipped, and files that hold nothing of the kind, are refused in one sentence. */
class ScriptRefusalTest {

  private static final ClipOptions RELU = new ClipOptions(ClipForm.RELU);
  private static final int CASES = 400;

  @TempDir Path folder;

  static {
    LibTorch.load();
  }

  private static void assertRefused(String reason, Executable call) {
    ActclipException e = assertThrows(ActclipException.class, call);
    assertTrue(e.isBadInput(), e.getMessage());
    assertTrue(e.getMessage().contains(reason), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
  }

  @ParameterizedTest
  @CsvSource({
    "traced_eval, was traced",
    "traced_train, was traced",
    "frozen, was frozen",
    "boxes, needs the operator torchvision::nms",
    "two_inputs, 'makes [Tensor] of [Tensor, Tensor]'",
    "two_outputs, 'makes [Tuple[Tensor, Tensor]] of [Tensor]'"
  })
  void whatIsNoNetworkToTrain(String name, String reason) {
    Path file = Scripted.file(name);
    assertRefused(file + " " + reason, () -> ScriptModule.load(file));
    assertRefused(file + " " + reason, () -> Clips.insert(file, RELU));
  }

  @ParameterizedTest
  @CsvSource({
    "sigmoid, has nothing to clip",
    "hardtanh, has a hardtanh whose lower limit is not 0",
    "chosen, calls a module that Chosen chooses while it runs",
    "branch, 'rectifies in place, in an if or a loop, what is read again'"
  })
  void whatHasNoPlaceForAClip(String name, String reason) {
    Path file = Scripted.file(name);
    assertRefused(file + " " + reason, () -> Clips.insert(file, RELU));
    assertTrue(ScriptModule.load(file).thresholds().isEmpty());
  }

  @Test
  void modulesThatWereLoadedElsewhere() {
    JitModule traced = torch.load(Scripted.file("traced_eval").toString());
    assertRefused("the module Small was traced", () -> Clips.insert(traced, RELU));
    assertRefused("null was given", () -> Clips.insert((JitModule) null, RELU));
    traced.close();
    assertRefused("it was closed", () -> Clips.insert(traced, RELU));
  }

  @Test
  void clipsBehindClips() {
    Path file = folder.resolve("clipped.pt");
    Clips.insert(Scripted.file("relu6"), RELU).save(file);
    assertRefused(file + " has clips of this library already", () -> Clips.insert(file, RELU));
  }

  @Test
  void optionsThatNeedMoreThanAGraphHas() {
    Path file = Scripted.file("relu6");
    String where = " in a module of TorchScript";
    assertRefused(
        "form (SOFT) must be RELU or TIED" + where,
        () -> Clips.insert(file, new ClipOptions(ClipForm.SOFT)));
    assertRefused(
        "channels (4) must be 1" + where, () -> Clips.insert(file, RELU.perChannel(4, 1)));
    assertRefused(
        "parameterization (EXP) must be RAW" + where,
        () -> Clips.insert(file, RELU.parameterization(Parameterization.EXP)));
    assertRefused("floor (0.1) must be", () -> Clips.insert(file, RELU.floor(0.1)));
    assertRefused(
        "rule (MEAN) must be SUM", () -> Clips.insert(file, RELU.gradient(ThresholdGradient.MEAN)));
    assertRefused(
        "max (0.0) must be a finite number above 0", () -> Clips.insert(file, RELU.initial(0)));
  }

  @Test
  void otherFilesAreNoneOfTorchScript() throws IOException {
    Path small = Scripted.file("small");
    assertTrue(ScriptModule.isIn(small));
    assertTrue(ScriptModule.isIn(Scripted.file("traced_eval")));
    Path cut = Files.write(folder.resolve("cut.pt"), Arrays.copyOf(Files.readAllBytes(small), 900));
    Path state = Path.of("src/test/resources/fixtures/pytorch/state_dict.pt");
    for (Path other : List.of(cut, state, Path.of("pom.xml"), folder, folder.resolve("none.pt"))) {
      assertFalse(ScriptModule.isIn(other), other.toString());
    }
  }

  @Test
  void whatIsNoFileOfTorchScript() throws IOException {
    Path missing = folder.resolve("missing.pt");
    assertRefused(missing + " is not a file", () -> ScriptModule.load(missing));
    assertRefused(folder + " is not a file", () -> ScriptModule.load(folder));
    Path empty = Files.createFile(folder.resolve("empty.pt"));
    assertRefused(empty + " is not a file of TorchScript", () -> ScriptModule.load(empty));
    Path text = Files.writeString(folder.resolve("text.pt"), "nonsense".repeat(99));
    assertRefused(text + " is not a file of TorchScript", () -> ScriptModule.load(text));
    for (String name : List.of("state_dict", "module", "views")) {
      Path pickle = Path.of("src/test/resources/fixtures/pytorch/" + name + ".pt");
      assertRefused(pickle + " has no TorchScript in it", () -> ScriptModule.load(pickle));
    }
  }

  /** LibTorch would read on where a checksum is wrong. */
  @Test
  void whateverIsDoneToAFileItWorksOrIsRefused() throws IOException {
    byte[] valid = Files.readAllBytes(Scripted.file("relu6"));
    Path file = folder.resolve("fuzzed.pt");
    RandomCases.check(
        CASES,
        random -> {
          byte[] bytes =
              Arrays.copyOf(
                  valid, random.nextInt(4) > 0 ? valid.length : random.nextInt(valid.length));
          for (int i = random.nextInt(4); i > 0 && bytes.length > 0; i--) {
            bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
          }
          Files.write(file, bytes);
          TensorScope.run(() -> loadOrRefuse(file));
        });
  }

  private static void loadOrRefuse(Path file) {
    try {
      Clips.insert(file, RELU).forward(torch.randn(2, 3));
    } catch (ActclipException e) {
      assertTrue(e.isBadInput(), e.getMessage());
      assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
    }
  }

  /** LibTorch would read and write behind the end of the tensor. */
  @ParameterizedTest
  @CsvSource({"small, fc.weight", "listed, all", "nested, all"})
  void tensorsThatAreLargerThanTheirMemory(String name, String tensor) throws IOException {
    Path file = folder.resolve("large.pt");
    try (ZipFile from = new ZipFile(Scripted.file(name).toFile());
        ZipOutputStream to = new ZipOutputStream(Files.newOutputStream(file))) {
      for (ZipEntry entry : from.stream().map(ZipEntry.class::cast).toList()) {
        String bytes = new String(from.getInputStream(entry).readAllBytes(), ISO_8859_1);
        to.putNextEntry(new ZipEntry(entry.getName()));
        to.write(bytes.replace("(K\5K\6t", "(K\177K\177t").getBytes(ISO_8859_1));
      }
    }
    assertRefused(
        file + " is damaged: the tensor " + tensor + " is larger than its memory",
        () -> ScriptModule.load(file));
  }

  @Test
  void indicesThatAreClamped() {
    ScriptModule network = Clips.insert(Scripted.file("indices"), RELU);
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      ActclipException e =
          assertThrows(ActclipException.class, () -> network.forward(torch.ones(9)));
      assertTrue(e.getMessage().endsWith("such as indices that are clamped"), e.getMessage());
    }
  }

  @Test
  void whatCannotBeWritten() {
    ScriptModule network = Clips.insert(Scripted.file("small"), RELU);
    Path file = folder.resolve("missing/network.pt");
    ActclipException e = assertThrows(ActclipException.class, () -> network.save(file));
    assertTrue(e.getMessage().startsWith(file + " cannot be written: "), e.getMessage());
    assertFalse(e.isBadInput(), e.getMessage());
    JitModule module = torch.load(Scripted.file("small").toString());
    assertThrows(IOException.class, () -> ScriptFile.export(module, folder)); // no file
    assertThrows(IOException.class, () -> ScriptFile.requireRoom(folder, Long.MAX_VALUE));
  }

  @Test
  void inputsThatTheNetworkCannotTake() {
    ScriptModule network = Clips.insert(Scripted.file("small"), RELU);
    assertRefused("the input: there is no tensor", () -> network.forward(null));
    assertRefused("the input: there is no tensor", () -> network.forward(new Tensor()));
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> TensorScope.run(() -> network.forward(torch.ones(2, 4, 8, 8))));
    assertTrue(
        e.getMessage().contains("fails on data of shape [2, 4, 8, 8]: Given groups=1"),
        e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    network.close();
    assertRefused("the network: it was closed", () -> network.forward(torch.ones(1)));
    assertRefused("the network: it was closed", () -> network.save(folder.resolve("closed.pt")));
  }
}
