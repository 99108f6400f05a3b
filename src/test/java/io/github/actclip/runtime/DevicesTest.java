package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DevicesTest {

  @BeforeAll
  static void load() {
    LibTorch.load();
  }

  @Test
  void theCpuIsAlwaysThere() {
    assertEquals("cpu", name(Devices.of("cpu")));
    assertEquals("cpu", name(Devices.of(" CPU ")));
  }

  @Test
  void autoIsCudaWhenThereIsOne() {
    String expected = torch.cuda_is_available() ? "cuda:0" : "cpu";
    assertEquals(expected, name(Devices.auto()));
    assertEquals(expected, name(Devices.of("auto")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1:2", "cuda:9999", "mps"})
  void anUnknownNameIsOneSentence(String name) {
    ActclipException e = assertThrows(ActclipException.class, () -> Devices.of(name));
    assertTrue(e.isBadInput());
    assertEquals(
        "the device (" + name + ") must be one of auto, cpu, cuda, cuda:N", e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"cuda", "cuda:0", "cuda:1"})
  void cudaWithoutCudaSaysWhatIsMissing(String name) {
    assumeFalse(torch.cuda_is_available());
    ActclipException e = assertThrows(ActclipException.class, () -> Devices.of(name));
    assertTrue(
        e.getMessage().startsWith("the device " + name + " cannot be used: this program was built"),
        e.getMessage());
    assertTrue(e.getMessage().contains("-Djavacpp.platform.extension=-gpu"), e.getMessage());
  }

  @Test
  void aCudaDeviceBeyondTheLastIsOneSentence() {
    assumeTrue(torch.cuda_is_available());
    ActclipException e = assertThrows(ActclipException.class, () -> Devices.of("cuda:99"));
    assertTrue(e.getMessage().contains("does not exist"), e.getMessage());
  }

  private static String name(Device device) {
    try (device;
        var text = device.str()) {
      return text.getString();
    }
  }
}
