package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import io.github.actclip.testing.Python;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Files there and back again, through the PyTorch of a Python, where the machine has one: {@code
 * src/test/python/check_weights.py}.
 */
class PythonParityTest {

  static {
    LibTorch.load();
  }

  /** Convolutions that sum in another order. */
  private static final double SUMMED = 2e-5;

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

  @Test
  void pythonLoadsWhatWeSaveAndWeLoadWhatItSaves() throws Exception {
    Optional<Python> python = Python.with("torch", "numpy");
    assumeTrue(python.isPresent(), "python3-torch is not installed");
    Net net = new Net();
    Map<String, Tensor> tensors = everyKindOfTensor();
    StateDict.write(folder.resolve("net.pt"), StateDict.of(net));
    StateDict.write(folder.resolve("tensors.pt"), tensors);
    StateDict.write(folder.resolve("tensors.safetensors"), tensors);

    python.get().run("check_weights.py", folder);

    Map<String, Tensor> made = StateDict.read(folder.resolve("logits.pt"));
    double[] expected = Fixture.values(made.get("logits"));
    double[] actual = Fixture.values(net.forward(made.get("images")));
    assertArrayEquals(expected, actual, SUMMED * max(expected));
    assertSame(tensors, StateDict.read(folder.resolve("back.pt")));
    Path back = folder.resolve("back.safetensors");
    if (Files.exists(back)) { // Python has the library.
      assertSame(tensors, StateDict.read(back));
    }
  }

  /** What check_weights.py expects. */
  private static Map<String, Tensor> everyKindOfTensor() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    put(tensors, Dtype.F64, Long.MIN_VALUE, 0x7FF0000000000000L, 0x3FF0000000000000L);
    put(tensors, Dtype.F32, Integer.MIN_VALUE, 0x7F800000, 0x3F800000);
    put(tensors, Dtype.F16, Short.MIN_VALUE, 0x7C00, 0x3C00);
    put(tensors, Dtype.BF16, Short.MIN_VALUE, 0x7F80, 0x3F80);
    put(tensors, Dtype.I64, Long.MIN_VALUE, Long.MAX_VALUE, -1);
    put(tensors, Dtype.I32, Integer.MIN_VALUE, Integer.MAX_VALUE, -1);
    put(tensors, Dtype.I16, Short.MIN_VALUE, Short.MAX_VALUE, -1);
    put(tensors, Dtype.I8, -128, 127, -1);
    put(tensors, Dtype.U8, 0, 255, 128);
    put(tensors, Dtype.BOOL, 1, 0, 1);
    tensors.put("transposed", AbstractTensor.create(0f, 1f, 2f, 3f, 4f, 5f).view(2, 3).t());
    tensors.put("scalar", AbstractTensor.create(3.25f).squeeze());
    tensors.put("empty", torch.empty(2, 0, 3));
    tensors.put("größe 🙂", AbstractTensor.create(7f).set_requires_grad(true));
    return tensors;
  }

  private static void put(Map<String, Tensor> tensors, Dtype dtype, long... bits) {
    ByteBuffer bytes =
        ByteBuffer.allocate(bits.length * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (long value : bits) {
      for (int i = 0; i < dtype.bytes(); i++) {
        bytes.put((byte) (value >> 8 * i));
      }
    }
    tensors.put(
        dtype.name().toLowerCase(Locale.ROOT),
        AbstractTensor.create(bytes.array()).view(dtype.scalarType()));
  }

  private static void assertSame(Map<String, Tensor> expected, Map<String, Tensor> actual) {
    assertEquals(expected.keySet(), actual.keySet());
    expected.forEach(
        (name, tensor) -> {
          assertEquals(Dtype.of(tensor.scalar_type()), Dtype.of(actual.get(name).scalar_type()));
          assertArrayEquals(tensor.shape(), actual.get(name).shape(), name);
          assertArrayEquals(bytes(tensor), bytes(actual.get(name)), name);
        });
  }

  private static byte[] bytes(Tensor tensor) {
    return SafetensorsTest.bytes(tensor.detach().contiguous());
  }

  private static double max(double[] values) {
    double max = 0;
    for (double value : values) {
      max = Math.max(max, Math.abs(value));
    }
    assertTrue(max > 0);
    return max;
  }
}
