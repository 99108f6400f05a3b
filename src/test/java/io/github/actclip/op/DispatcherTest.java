package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.Bits;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
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
