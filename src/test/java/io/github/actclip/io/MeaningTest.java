package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.autograd.ThresholdGradient;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.Clip;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.FakeQuantize;
import io.github.actclip.nn.FakeQuantizeOptions;
import io.github.actclip.nn.Parameterization;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.ThresholdLayer;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.ZipFile;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a threshold's number means goes with it into files, and is checked when it is loaded. */
class MeaningTest {

  static {
    LibTorch.load();
  }

  /** A user's module: nothing but the parameter tells of the clip in it. */
  private static final class Mine extends Module {

    private final ThresholdLayer layer;

    Mine(ThresholdLayer layer) {
      super("Mine");
      this.layer = register_module("layer", layer);
    }
  }

  @TempDir Path folder;
  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static ClipOptions clip(ClipForm form) {
    return new ClipOptions(form).initial(2);
  }

  private static Clip softplus() {
    return new Clip(clip(ClipForm.TIED).parameterization(Parameterization.SOFTPLUS));
  }

  private static FakeQuantize quantizer(QuantizationMethod method, int bits, boolean signed) {
    return new FakeQuantize(new FakeQuantizeOptions(method, bits, signed, 2, 1, 1));
  }

  private static FakeQuantize quantizer(int axis) {
    return new FakeQuantize(new FakeQuantizeOptions(QuantizationMethod.LSQ, 8, false, 2, 3, axis));
  }

  /** The same names and shapes, and other outputs for the same numbers. */
  static Stream<Arguments> layersThatDiffer() {
    return Stream.of(
        differ(
            softplus(),
            new Clip(clip(ClipForm.TIED).parameterization(Parameterization.EXP)),
            "form=TIED, parameterization=SOFTPLUS",
            "form=TIED, parameterization=EXP"),
        differ(
            new Clip(clip(ClipForm.TIED).parameterization(Parameterization.LOG2)),
            quantizer(QuantizationMethod.TQT, 8, false),
            "form=TIED, parameterization=LOG2",
            "method=TQT, bits=8, signed=false, parameterization=LOG2"),
        differ(
            new Clip(clip(ClipForm.TIED).parameterization(Parameterization.ABS)),
            new Clip(clip(ClipForm.TIED).parameterization(Parameterization.LOG2)),
            "=ABS",
            "=LOG2"),
        differ(new Clip(clip(ClipForm.TIED)), new Clip(clip(ClipForm.RELU)), "=TIED", "=RELU"),
        differ(new Clip(clip(ClipForm.SOFT)), new Clip(clip(ClipForm.TIED)), "=SOFT", "=TIED"),
        differ(
            new Clip(clip(ClipForm.SOFT).beta(5)),
            new Clip(clip(ClipForm.SOFT).beta(6)),
            "beta=5.0",
            "beta=6.0"),
        differ(
            new Clip(clip(ClipForm.TIED).floor(0.5)),
            new Clip(clip(ClipForm.TIED)),
            "form=TIED, floor=0.5,",
            "form=TIED, p"),
        differ(
            new Clip(clip(ClipForm.TIED).perChannel(3, 1)),
            new Clip(clip(ClipForm.TIED).perChannel(3, -1)),
            "axis=1",
            "axis=-1"),
        differ(
            new Clip(clip(ClipForm.TWO_SIDED).parameterization(Parameterization.EXP)),
            new Clip(clip(ClipForm.TWO_SIDED).parameterization(Parameterization.ABS)),
            "form=TWO_SIDED, parameterization=EXP",
            "form=TWO_SIDED, parameterization=ABS"),
        differ(
            new Clip(clip(ClipForm.RELU)),
            quantizer(QuantizationMethod.PACT, 8, false),
            "form=RELU",
            "method=PACT"),
        differ(
            quantizer(QuantizationMethod.PACT, 8, false),
            quantizer(QuantizationMethod.PACT, 4, false),
            "bits=8",
            "bits=4"),
        differ(
            quantizer(QuantizationMethod.LSQ, 4, false),
            quantizer(QuantizationMethod.LSQ, 8, false),
            "method=LSQ, bits=4",
            "method=LSQ, bits=8"),
        differ(
            quantizer(QuantizationMethod.LSQ, 4, true),
            quantizer(QuantizationMethod.LSQ, 4, false),
            "signed=true",
            "signed=false"),
        differ(
            quantizer(QuantizationMethod.TQT, 4, false),
            quantizer(QuantizationMethod.TQT, 3, false),
            "method=TQT, bits=4",
            "method=TQT, bits=3"),
        differ(quantizer(0), quantizer(1), "axis=0", "axis=1"));
  }

  private static Arguments differ(ThresholdLayer from, ThresholdLayer to, String one, String two) {
    return Arguments.of(new Mine(from), new Mine(to), one, two);
  }

  @ParameterizedTest
  @MethodSource("layersThatDiffer")
  void refusesNumbersThatMeanSomethingElse(Mine from, Mine to, String stored, String used) {
    List<Float> before = values(to);
    for (String suffix : List.of("safetensors", "pt")) {
      Path file = folder.resolve("weights." + suffix);
      StateDict.write(file, StateDict.of(from));
      String name = "layer." + to.layer.thresholds().get(0).parameterName();
      ActclipException e =
          assertThrows(
              ActclipException.class, () -> StateDict.load(to, StateDict.read(file)), suffix);
      assertTrue(e.isBadInput());
      assertEquals(1, e.getMessage().lines().count(), e.getMessage());
      assertTrue(
          e.getMessage()
              .matches(
                  ".*"
                      + name
                      + " is stored as \"[^\"]*"
                      + stored
                      + "[^\"]*\" and used as \"[^\"]*"
                      + used
                      + ".*"),
          e.getMessage());
      assertEquals(before, values(to));
    }
  }

  /** How a threshold learns, and where it starts, is nobody's business. */
  static Stream<Arguments> layersThatAgree() {
    return Stream.of(
        agree(softplus(), softplus()),
        agree(new Clip(clip(ClipForm.TIED)), new Clip(clip(ClipForm.IN_PLACE))),
        agree(
            new Clip(clip(ClipForm.TIED).initial(7).gradient(ThresholdGradient.MEAN)),
            new Clip(clip(ClipForm.TIED).gradient(ThresholdGradient.FROZEN))),
        agree(
            new Clip(clip(ClipForm.UNTIED).learnCut(0.5)),
            new Clip(clip(ClipForm.UNTIED).learnCut(0.25))),
        agree(
            new Clip(clip(ClipForm.TIED).perChannel(1, 1)),
            new Clip(clip(ClipForm.TIED).perChannel(1, 2))),
        agree(
            quantizer(QuantizationMethod.LSQ_PLUS, 4, false),
            quantizer(QuantizationMethod.LSQ_PLUS, 4, false)));
  }

  private static Arguments agree(ThresholdLayer from, ThresholdLayer to) {
    from.thresholds().get(0).set(0.75);
    return Arguments.of(new Mine(from), new Mine(to));
  }

  @ParameterizedTest
  @MethodSource("layersThatAgree")
  void takesNumbersThatMeanTheSame(Mine from, Mine to) {
    for (String suffix : List.of("safetensors", "pt")) {
      Path file = folder.resolve("weights." + suffix);
      StateDict.write(file, StateDict.of(from));
      to.layer.thresholds().get(0).set(0.5);
      StateDict.load(to, StateDict.read(file));
      assertEquals(values(from), values(to), suffix);
    }
  }

  /** As from Python, and from files that were written without meanings. */
  @Test
  void takesNumbersThatSayNothing() {
    Mine from = new Mine(softplus());
    Mine to = new Mine(new Clip(clip(ClipForm.TIED).parameterization(Parameterization.EXP)));
    Map<String, Tensor> copies = new LinkedHashMap<>(StateDict.of(from));
    copies.replaceAll((name, tensor) -> tensor.clone());
    Path file = folder.resolve("weights.safetensors");
    StateDict.write(file, copies);
    assertEquals(Map.of("format", "pt"), StateDict.readMetadata(file));
    StateDict.load(to, StateDict.read(file));
    assertEquals(values(from), values(to));
  }

  @Test
  void leavesOutWhatMeansSomethingElseWhereItMay() {
    Mine from = new Mine(softplus());
    Mine to = new Mine(new Clip(clip(ClipForm.TIED).parameterization(Parameterization.EXP)));
    List<Float> before = values(to);
    IncompatibleKeys rest = StateDict.load(to, StateDict.of(from), false);
    assertEquals(
        List.of(
            new IncompatibleKeys.MismatchedMeaning(
                "layer.raw_max",
                "form=TIED, parameterization=SOFTPLUS",
                "form=TIED, parameterization=EXP")),
        rest.mismatchedMeanings());
    assertEquals(before, values(to));
  }

  /** Its thresholds are registered under names of the network's. */
  @Test
  void aNetTakesItsThresholdsMeaningsAlong() {
    Net from = new Net(NetOptions.original().with(lsq(4)));
    Net to = new Net(NetOptions.original().with(lsq(8)));
    Path file = folder.resolve("net.safetensors");
    StateDict.write(file, StateDict.of(from));
    assertEquals(
        "method=LSQ, bits=4, signed=true, axis=0, parameterization=RAW",
        StateDict.readMetadata(file).get("actclip.meaning.conv1_quantizer.scale"));
    ActclipException e =
        assertThrows(ActclipException.class, () -> StateDict.load(to, StateDict.read(file)));
    for (String name : List.of("act_scale is", "conv1_quantizer.scale is", "linear_quantizer.")) {
      assertTrue(e.getMessage().contains(name), e.getMessage());
    }
    from.close();
    to.close();
  }

  private static ActivationOptions lsq(int bits) {
    return ActivationOptions.original().quantized(QuantizationMethod.LSQ, bits, bits);
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.safetensors", "a.pt"})
  void textsComeBack(String name) {
    Path file = folder.resolve(name);
    Map<String, String> texts = Map.of("größe", "🙂 \"1\"", "empty", "");
    StateDict.write(file, Map.of("a", torch.rand(3)), texts);
    Map<String, String> read = new LinkedHashMap<>(StateDict.readMetadata(file));
    read.remove("format");
    assertEquals(texts, read);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "null",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":\"1\"",
        "{\"a\":\"\",\"a\":\"\"}"
      })
  void textsThatAreNoneAreOneSentence(String json) {
    ActclipException e =
        assertThrows(
            ActclipException.class,
            () -> PyTorchTexts.read(Path.of("a.pt"), json.getBytes(StandardCharsets.UTF_8)));
    assertTrue(e.isBadInput());
    assertTrue(
        e.getMessage().matches("a.pt is not a valid PyTorch file: its extra/actclip.json .*"),
        e.getMessage());
  }

  /** Where there is nothing to say, the archive is what it always was. */
  @Test
  void aPyTorchFileWithoutTextsHasNoEntryForThem() throws IOException {
    Path file = folder.resolve("a.pt");
    StateDict.write(file, Map.of("a", torch.rand(3)));
    try (ZipFile zip = new ZipFile(file.toFile())) {
      assertEquals(
          List.of("archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/version"),
          zip.stream().map(entry -> entry.getName()).toList());
    }
    assertEquals(Map.of(), StateDict.readMetadata(file));
  }

  private static List<Float> values(Mine module) {
    List<Float> values = new ArrayList<>();
    StateDict.of(module)
        .values()
        .forEach(
            tensor -> {
              for (long i = 0; i < tensor.numel(); i++) {
                values.add(tensor.flatten().select(0, i).item_float());
              }
            });
    return values;
  }
}
