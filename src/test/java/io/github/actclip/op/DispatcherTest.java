package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Bits;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The operations as C++ and Python call them, through LibTorch's dispatcher. */
class DispatcherTest {

  static {
    LibTorch.load();
  }

  private final Tensor x = torch.randn(2, 3, 4, 5);
  private final Tensor g = torch.randn(2, 3, 4, 5);
  private final Tensor hi = Tensor.create(0.5f);
  private final Tensor lo = Tensor.create(-0.25f);
  private final Tensor value = Tensor.create(0.75f);

  private ClipBackend kernels;

  @BeforeEach
  void needKernels() {
    NativeBackendTest.assumeKernels();
    kernels = new NativeBackend();
  }

  @Test
  void clipsWithAndWithoutWhatIsOptional() {
    for (boolean relu : new boolean[] {false, true}) {
      for (Limits limits :
          new Limits[] {
            new Limits(relu, hi, null, null),
            new Limits(relu, hi, lo, null),
            new Limits(relu, hi, lo, value)
          }) {
        assertResults(
            call("clip", x, hi, limits.lower(), limits.value(), relu), kernels.clip(x, limits));
        Tensor[] expected = kernels.clipBackward(g, x, limits, true, true, true, true);
        Tensor none = torch.empty(0);
        assertResults(
            call("clip_backward", g, x, hi, limits.lower(), limits.value(), relu),
            expected[0],
            expected[1],
            limits.lower() == null ? none : expected[2]);
      }
    }
    assertEquals(4, call("clip_statistics", g, x, hi, null, true)[0].size(0));
    assertEquals(8, call("clip_statistics", g, x, hi, lo, true)[0].size(0));
  }

  @Test
  void poolsAndQuantizes() {
    Pooled pooled = kernels.maxPoolClip(x, hi, true);
    Tensor[] results = call("max_pool_clip", x, hi, true);
    assertResults(new Tensor[] {results[0]}, pooled.output());
    Tensor gy = torch.randn(2, 3, 2, 2);
    assertResults(
        call("max_pool_clip_backward", gy, results[1], hi, 4L, 5L, false),
        kernels.maxPoolClipBackward(gy, pooled.codes(), hi, 2, 3, 4, 5));
    Grid grid = new Grid(hi, lo, -3, 12);
    assertResults(call("fake_quantize", x, hi, lo, -3L, 12L), kernels.fakeQuantize(x, grid));
    for (ScaleGradient rule : ScaleGradient.values()) {
      assertResults(
          call("fake_quantize_backward", g, x, hi, lo, -3L, 12L, (long) rule.ordinal()),
          kernels.fakeQuantizeBackward(g, x, grid, rule, true, true, true));
    }
  }

  @Test
  void refusesInOneLine() {
    RuntimeException e =
        assertThrows(
            RuntimeException.class, () -> call("clip", x, torch.ones(7), null, null, true));
    assertEquals(
        "a threshold has the shape [7], and the activations [2, 3, 4, 5]: it must have one element,"
            + " or differ along one dimension of theirs",
        ActclipException.firstLine(e));
  }

  /** Each operation, with each of its tensors that may require a gradient. */
  @Test
  void refusesToRecordAGradient() {
    Tensor codes = kernels.maxPoolClip(x, hi, true).codes();
    Tensor gy = torch.randn(2, 3, 2, 2);
    Map<String, Object[]> calls =
        Map.of(
            "clip", new Object[] {x, hi, lo, value, true},
            "clip_backward", new Object[] {g, x, hi, lo, value, true},
            "clip_statistics", new Object[] {g, x, hi, lo, true},
            "max_pool_clip", new Object[] {x, hi, true},
            "max_pool_clip_backward", new Object[] {gy, codes, hi, 4L, 5L, false},
            "fake_quantize", new Object[] {x, hi, lo, -3L, 12L},
            "fake_quantize_backward", new Object[] {g, x, hi, lo, -3L, 12L, 2L});
    calls.forEach(
        (name, arguments) -> {
          call(name, arguments);
          for (int i = 0; i < arguments.length; i++) {
            if (arguments[i] instanceof Tensor tensor && tensor.is_floating_point()) {
              Object[] leaf = arguments.clone();
              leaf[i] = tensor.clone().set_requires_grad(true);
              assertRefusesToRecord(name, i + 1, leaf);
              Object[] computed = arguments.clone();
              computed[i] = ((Tensor) leaf[i]).mul(new Scalar(1));
              assertRefusesToRecord(name, i + 1, computed);
            }
          }
        });
  }

  private static void assertRefusesToRecord(String name, int argument, Object... arguments) {
    RuntimeException e = assertThrows(RuntimeException.class, () -> call(name, arguments), name);
    assertEquals(
        "argument "
            + argument
            + " requires a gradient, and actclip's operations record none: call them with gradients"
            + " disabled, or what does record, in Java ClipFunctions",
        ActclipException.firstLine(e));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      call(name, arguments);
    }
  }

  /** Of tensors without elements, whose sizes no number holds the product of. */
  @Test
  void countsWhatIsEmptyAndHuge() {
    long huge = 1L << 40;
    Tensor empty = torch.empty(0, 1, 1, 1).expand(0, huge, huge, 2);
    assertArrayEquals(empty.shape(), call("clip", empty, hi, null, null, true)[0].shape());
    RuntimeException e =
        assertThrows(RuntimeException.class, () -> call("max_pool_clip", empty, hi, true));
    assertEquals("a tensor of such a shape is too large", ActclipException.firstLine(e));
  }

  @Test
  void tellsWhichTensorDoesNotFitIntoMemory() {
    Tensor large = torch.zeros(1).expand(1L << 31, 1L << 31);
    RuntimeException e =
        assertThrows(RuntimeException.class, () -> call("clip", large, hi, null, null, true));
    String message = ActclipException.firstLine(e);
    assertTrue(
        message.startsWith(
            "LibTorch failed to allocate a tensor of the shape [2147483648, 2147483648]: "),
        message);
  }

  private static Tensor[] call(String name, Object... arguments) {
    IValueVector stack = new IValueVector();
    Stream.of(arguments).map(DispatcherTest::wrapped).forEach(stack::push_back);
    Dispatcher.singleton().findSchemaOrThrow("actclip::" + name, "").callBoxed(stack);
    return Stream.of(stack.get()).map(IValue::toTensor).toArray(Tensor[]::new);
  }

  private static IValue wrapped(Object argument) {
    if (argument instanceof Tensor tensor) {
      return new IValue(tensor);
    }
    if (argument instanceof Boolean flag) {
      return new IValue((boolean) flag);
    }
    return argument == null ? new IValue() : new IValue((long) argument);
  }

  private static void assertResults(Tensor[] actual, Tensor... expected) {
    assertEquals(expected.length, actual.length);
    IntStream.range(0, expected.length)
        .forEach(i -> Bits.assertSame(expected[i], actual[i], "result " + i));
  }
}
