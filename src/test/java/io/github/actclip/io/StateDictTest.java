package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StateDictTest {

  static {
    LibTorch.load();
  }

  private static final List<String> NAMES =
      List.of(
          "act_max",
          "linear.weight",
          "linear.bias",
          "norm.weight",
          "norm.bias",
          "norm.running_mean",
          "norm.running_var",
          "norm.num_batches_tracked");

  private TensorScope scope;

  @BeforeEach
  void open() {
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static Module module() {
    Module module = new Module("net");
    module.register_parameter("act_max", torch.ones(1));
    module.register_module("linear", new LinearImpl(3, 2));
    Module norm = module.register_module("norm", new Module("norm"));
    norm.register_parameter("weight", torch.rand(2));
    norm.register_parameter("bias", torch.rand(2));
    norm.register_buffer("running_mean", torch.rand(2));
    norm.register_buffer("running_var", torch.rand(2));
    norm.register_buffer("num_batches_tracked", AbstractTensor.create(3L).squeeze());
    return module;
  }

  @Test
  void namesParametersAndBuffersAsPythonDoes() {
    Map<String, Tensor> state = StateDict.of(module());

    assertEquals(NAMES, List.copyOf(state.keySet()));
    assertArrayEquals(new long[] {2, 3}, state.get("linear.weight").shape());
    assertArrayEquals(new long[] {}, state.get("norm.num_batches_tracked").shape());
  }

  @Test
  void leavesOutBuffersThatAModuleDoesWithout() {
    Module module = module();
    module.register_buffer("running_mean", new Tensor());

    assertEquals(NAMES, List.copyOf(StateDict.of(module).keySet()));
  }

  @Test
  void handsOutTheModulesOwnTensors() {
    Module module = module();
    Tensor first = StateDict.of(module).get("act_max");
    Tensor second = StateDict.of(module).get("act_max");

    assertTrue(first.is_same(second));
    assertTrue(first.requires_grad());
    first.mul(AbstractTensor.create(3f)).backward();
    assertEquals(3f, second.grad().item_float());
    first.close();
    assertEquals(1f, StateDict.of(module).get("act_max").item_float());
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "model.pt", "model.pth", "model.bin", "MODEL.PT"})
  void travelsThroughAFile(String name, @TempDir Path directory) {
    Path file = directory.resolve(name);
    Module source = module();
    Module target = module();
    StateDict.write(file, StateDict.of(source));

    StateDict.load(target, StateDict.read(file));

    Map<String, Tensor> expected = StateDict.of(source);
    StateDict.of(target)
        .forEach((key, tensor) -> assertTrue(torch.equal(expected.get(key), tensor), key));
  }

  @Test
  void theSuffixSaysTheFormat(@TempDir Path directory) throws IOException {
    Map<String, Tensor> state = StateDict.of(module());
    StateDict.write(directory.resolve("a.safetensors"), state);
    StateDict.write(directory.resolve("a.pt"), state);

    assertEquals(
        Map.of("format", "pt"), Safetensors.readMetadata(directory.resolve("a.safetensors")));
    assertEquals('P', Files.readAllBytes(directory.resolve("a.pt"))[0]);
    for (String name : List.of("a", "a.ckpt", "a.pt.gz", "safetensors")) {
      Path file = directory.resolve(name);
      for (Executable use :
          List.<Executable>of(() -> StateDict.read(file), () -> StateDict.write(file, state))) {
        var e = assertThrows(ActclipException.class, use);
        assertTrue(e.isBadInput());
        assertEquals(
            file
                + " must end in .safetensors, or for PyTorch's own format in one of"
                + " [.pt, .pth, .bin]",
            e.getMessage());
      }
      assertFalse(Files.exists(file));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.safetensors", "a.pt"})
  void anInterruptHarmsNoFileAndStays(String name, @TempDir Path directory) {
    Map<String, Tensor> state = Map.of("large", torch.rand(3_000_000), "small", torch.rand(2));
    Path file = directory.resolve(name);
    Map<String, Tensor> read;
    Thread.currentThread().interrupt();
    try {
      StateDict.write(file, state);
      read = StateDict.read(file);
    } finally {
      assertTrue(Thread.interrupted());
    }
    state.forEach((key, tensor) -> Bits.assertSame(tensor, read.get(key), key));
  }

  @Test
  void whenNotStrictLoadsWhatFitsAndSaysWhatDoesNot() {
    Module module = module();
    Map<String, Tensor> state = new LinkedHashMap<>();
    state.put("act_max", torch.full(new long[] {1}, new Scalar(7)));
    state.put("linear.bias", torch.full(new long[] {3}, new Scalar(7)));
    state.put("linear.wieght", torch.rand(2, 3));
    float before = StateDict.of(module).get("linear.bias").sum().item_float();

    IncompatibleKeys rest = StateDict.load(module, state, false);

    assertEquals(NAMES.stream().filter(n -> !state.containsKey(n)).toList(), rest.missingKeys());
    assertEquals(List.of("linear.wieght"), rest.unexpectedKeys());
    assertEquals(
        List.of(new IncompatibleKeys.MismatchedShape("linear.bias", List.of(3L), List.of(2L))),
        rest.mismatchedShapes());
    assertFalse(rest.isEmpty());
    assertEquals(7f, StateDict.of(module).get("act_max").item_float());
    assertEquals(before, StateDict.of(module).get("linear.bias").sum().item_float());
  }

  @Test
  void whenEverythingFitsNothingIsListed() {
    IncompatibleKeys none = StateDict.load(module(), StateDict.of(module()), true);

    assertTrue(none.isEmpty());
    assertEquals("", none.toString());
  }

  @Test
  void loadsInPlaceAndConvertsDtypes() {
    Module module = module();
    Tensor parameter = StateDict.of(module).get("act_max");
    Map<String, Tensor> state = StateDict.of(module());
    state.put(
        "act_max",
        torch.full(new long[] {1}, new Scalar(2.5)).to(ScalarType.Double).set_requires_grad(true));

    StateDict.load(module, state);

    assertEquals(2.5f, parameter.item_float());
    assertEquals(ScalarType.Float, parameter.scalar_type().intern());
    assertTrue(parameter.requires_grad());
    assertTrue(parameter.is_leaf());
    assertTrue(torch.rand(1).set_requires_grad(true).mul(parameter).requires_grad(), "grad mode");
  }

  @Test
  void listsEverythingThatDoesNotFitAndChangesNothing() {
    Module module = module();
    StateDict.of(module).get("norm.bias").set_data(AbstractTensor.create(1f, 2f));
    Map<String, Tensor> before = new LinkedHashMap<>();
    StateDict.of(module).forEach((name, tensor) -> before.put(name, tensor.detach().clone()));
    Map<String, Tensor> state = new LinkedHashMap<>();
    StateDict.of(module())
        .forEach((name, tensor) -> state.put(name, torch.full_like(tensor, new Scalar(7))));
    state.remove("linear.weight");
    state.put("linear.bias", new Tensor());
    state.put("linear.wieght", torch.rand(2, 3));
    state.put("extra", torch.rand(1));
    state.put("norm.running_mean", torch.rand(1, 2));
    state.put("act_max", torch.rand(new long[0]));

    var e = assertThrows(ActclipException.class, () -> StateDict.load(module, state));

    assertTrue(e.isBadInput());
    assertEquals(
        "The state does not fit the module: missing: linear.weight, linear.bias; unexpected:"
            + " \"linear.wieght\", \"extra\"; wrong: act_max of shape [] instead of [1],"
            + " norm.running_mean of shape [1, 2] instead of [2]",
        e.getMessage());
    StateDict.of(module)
        .forEach((name, tensor) -> assertTrue(torch.equal(before.get(name), tensor), name));
    assertTrue(
        torch.rand(1).set_requires_grad(true).mul(torch.rand(1)).requires_grad(), "grad mode");
  }

  /** Those of another network: a sentence with hundreds of names is read by nobody. */
  @Test
  void namesTheFirstOfManyAndHowManyMore() {
    Map<String, Tensor> state = new LinkedHashMap<>();
    for (int i = 0; i < 62; i++) {
      state.put("layer" + i, torch.ones(1));
    }
    StateDict.of(module()).forEach((name, tensor) -> state.put(name, torch.ones(9)));
    var e = assertThrows(ActclipException.class, () -> StateDict.load(module(), state));
    assertTrue(
        e.getMessage()
            .contains(
                "unexpected: \"layer0\", \"layer1\", \"layer2\", \"layer3\", \"layer4\" and 57"
                    + " more; wrong: act_max of shape [9] instead of [1], "),
        e.getMessage());
    int wrong = StateDict.of(module()).size() - 5;
    assertTrue(e.getMessage().endsWith(" and " + wrong + " more"), e.getMessage());
  }

  @Test
  void namesTheTensorThatCannotBeCopied() {
    Map<String, Tensor> state = StateDict.of(module());
    state.put(
        "norm.bias", torch.empty(new long[] {2}, new TensorOptions(new Device("meta")), null));

    var e = assertThrows(ActclipException.class, () -> StateDict.load(module(), state));

    assertFalse(e.isBadInput());
    assertTrue(e.getMessage().startsWith("Tensor \"norm.bias\" cannot be copied"), e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  @Test
  void leavesNothingBehindWithoutAScope() {
    scope.close();
    Module module = module();
    Map<String, Tensor> state = StateDict.of(module);
    state.values().forEach(Tensor::retainReference);
    cycle(module, state, 100);
    long objects = Pointer.totalCount();

    cycle(module, state, 2_000);

    assertTrue(Pointer.totalCount() <= objects, "native objects left to the garbage collector");
    assertFalse(state.get("act_max").isNull());
    state.values().forEach(Tensor::close);
    module.close();
  }

  private static void cycle(Module module, Map<String, Tensor> state, int times) {
    for (int i = 0; i < times; i++) {
      StateDict.load(module, state);
      StateDict.of(module).values().forEach(Tensor::close);
    }
  }
}
