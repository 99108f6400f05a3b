package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnx.proto.OnnxMl;
import io.github.actclip.data.Augmentation;
import io.github.actclip.data.Normalization;
import io.github.actclip.io.StateDict;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code export}: what the file holds; that it computes the same is the library's to test. */
class ExportCommandTest {

  static {
    LibTorch.load();
  }

  @TempDir static Path data;

  private static Path clipped;
  private static Path quantized;

  @TempDir Path folder;

  @BeforeAll
  static void make() throws Exception {
    FewImages.write(data);
    quantized = data.resolve("quantized");
    String training =
        "train --epochs=1 --batch-size=200 --device=cpu --normalize --activation-bits=4"
            + " --weight-bits=4 --data="
            + data
            + " --out="
            + quantized;
    Result result = Forked.start(training.split(" ")).await();
    assertEquals(0, result.status(), result.err());

    clipped = data.resolve("clipped.safetensors");
    Model<NetOptions> model = Model.net(NetOptions.original());
    Map<String, String> notes =
        new ModelDescription(model, Augmentation.none(), Normalization.none()).notes();
    Network net = model.network();
    TensorScope.run(() -> StateDict.write(clipped, StateDict.of(net), notes));
  }

  private static Result export(Path model, String format, Path out, String... more) {
    List<String> all =
        new ArrayList<>(
            List.of("export", "--model=" + model, "--format=" + format, "--out=" + out));
    all.addAll(List.of(more));
    return InThisJvm.run(all.toArray(String[]::new));
  }

  private static OnnxMl.ModelProto read(Path file) throws Exception {
    return OnnxMl.ModelProto.parseFrom(Files.readAllBytes(file));
  }

  private static List<String> operations(OnnxMl.ModelProto model) {
    return model.getGraph().getNodeList().stream().map(OnnxMl.NodeProto::getOpType).toList();
  }

  @Test
  void aTrainingIsExportedWithItsPreprocessingAndClasses() throws Exception {
    Path out = folder.resolve("net.onnx");
    Result result = export(quantized, "onnx", out, "--preprocessing", "--opset=18");
    assertEquals(0, result.status(), result.err());
    assertEquals("exported             " + out + ", " + Files.size(out) + " bytes\n", result.out());
    OnnxMl.ModelProto model = read(out);
    assertEquals(18, model.getOpsetImport(0).getVersion());
    assertEquals(List.of("Cast", "Div", "Sub", "Div"), operations(model).subList(0, 4));
    assertTrue(operations(model).contains("Round"));
    String classes =
        model.getMetadataPropsList().stream()
            .filter(note -> note.getKey().equals("classes"))
            .findFirst()
            .orElseThrow()
            .getValue();
    assertEquals("[\"0\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]", classes);
  }

  @Test
  void aQuantizedTrainingIsExportedInIntegers() throws Exception {
    Path out = folder.resolve("net.onnx");
    Result result = export(quantized, "onnx", out, "--integer");
    assertEquals(0, result.status(), result.err());
    assertTrue(operations(read(out)).contains("QuantizeLinear"));
  }

  @Test
  void weightsAreExportedWithTheirDescription() {
    Path out = folder.resolve("net.safetensors");
    Result result = export(clipped, "safetensors", out);
    assertEquals(0, result.status(), result.err());
    String options = "--data=" + data;
    Result before = InThisJvm.run("evaluate", "--model=" + clipped, options);
    Result after = InThisJvm.run("evaluate", "--model=" + out, options);
    assertFalse(before.test().isEmpty());
    assertEquals(before.test(), after.test());
  }

  @Test
  void whatCannotBeExportedIsSaidInOneLine() {
    Path out = folder.resolve("net.onnx");
    assertRefused(
        export(clipped, "onnx", out, "--integer"),
        "conv1.weight is not quantized, as integers need");
    assertRefused(
        export(clipped, "torchscript", out), "is of net, which is written in Java, and LibTorch");
    assertRefused(export(clipped, "onnx", out, "--opset=9"), "opset (9) must be 13 to 21");
    assertRefused(export(clipped, "safetensors", out), "must end in .safetensors");
    assertRefused(
        export(clipped, "safetensors", out, "--integer"), "go with --format onnx, not SAFETENSORS");
    assertRefused(export(clipped, "onnx", data), "is there already: name another file");
    assertRefused(export(folder, "onnx", out), "is not the folder of a training");
    assertFalse(Files.exists(out));
  }

  private static void assertRefused(Result result, String reason) {
    assertEquals(2, result.status(), result.err());
    assertTrue(result.err().contains(reason), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
  }
}
