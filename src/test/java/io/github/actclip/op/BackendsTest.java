package io.github.actclip.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.KernelLibrary;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.ForkedJvm;
import io.github.actclip.testing.LogCapture;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** How the backend is chosen. */
class BackendsTest {

  static {
    LibTorch.load();
  }

  private static final Supplier<String> NOT_THERE = () -> "there is no library";

  @Test
  void withoutKernelsItIsTheComposedOneAndTheLogSaysWhyOnce() {
    try (LogCapture log = new LogCapture(Backends.class)) {
      Backends.Choice choice = Backends.choose(null, NOT_THERE);
      assertTrue(choice.backend() instanceof ComposedBackend);
      String description = "composed of LibTorch's operations: there is no library";
      assertEquals(description, choice.description());
      assertEquals(List.of("INFO Clips are " + description), log.lines());
    }
  }

  /** And who forces the composed one does not get the library loaded, by a custom function say. */
  @ParameterizedTest
  @EnabledOnOs(OS.LINUX)
  @CsvSource(
      delimiter = '|',
      value = {
        "native | native ( | true",
        "composed | composed of LibTorch's operations: actclip.backend is composed | false",
        "cuda | refused: actclip.backend (cuda) must be native or composed | true"
      })
  void thePropertyForcesABackend(String value, String line, boolean loads) throws Exception {
    NativeBackendTest.assumeKernels();
    Map<String, String> property = Map.of(KernelLibrary.BACKEND_PROPERTY, value);
    String output =
        ForkedJvm.start(BackendProbe.class, List.of(), property, Map.of()).awaitOutput();
    assertTrue(output.contains("\n" + line), output);
    assertTrue(output.contains("kernels loaded: " + loads), output);
  }

  /** Of four windows one passes its gradient on, one is rectified, and two are clipped. */
  @Test
  void aPoolThatIsRecordedIsDifferentiated() {
    Tensor x = torch.arange(new Scalar(-6f), new Scalar(10f)).view(1, 1, 4, 4).requires_grad_(true);
    Tensor t = Tensor.create(5f).requires_grad_(true);
    PoolOp.maxPoolClip(x, t, true).output().sum().backward();
    assertEquals(1, x.grad().sum().item_double());
    assertEquals(1, x.grad().view(16).select(0, 7).item_double());
    assertEquals(2, t.grad().item_double());
  }

  @Test
  void theNativeOneThatCannotBeHadIsOneSentence() {
    ActclipException e =
        assertThrows(ActclipException.class, () -> Backends.choose("native", NOT_THERE));
    assertEquals(
        "actclip.backend is native, which cannot be had here: there is no library", e.getMessage());
    assertFalse(e.isBadInput());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "cuda", "Native"})
  void anotherValueIsOneSentence(String value) {
    ActclipException e =
        assertThrows(ActclipException.class, () -> Backends.choose(value, NOT_THERE));
    assertEquals("actclip.backend (" + value + ") must be native or composed", e.getMessage());
    assertTrue(e.isBadInput());
  }

  @Test
  void theChoiceIsMadeOnceAndShown() {
    assertSame(Backends.chosen(), Backends.chosen());
    boolean isNative = KernelLibrary.whyNotLoaded().isEmpty();
    assertTrue(ClipOp.backend().startsWith(isNative ? "native (" : "composed"), ClipOp.backend());
  }

  @Test
  void kernelsAreTriedBeforeTheyAreTrusted() {
    assertEquals("", Backends.whyNotRight(torch::minimum));
    assertEquals("the kernels clip wrongly", Backends.whyNotRight(Tensor::add));
    assertEquals("the kernels clip wrongly", Backends.whyNotRight((x, t) -> new Tensor()));
    assertEquals("the kernels do not run: no such method", Backends.whyNotRight((x, t) -> fail()));
  }

  private static Tensor fail() {
    throw new UnsatisfiedLinkError("no such method");
  }
}
