package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class KernelLibraryTest {

  @BeforeAll
  static void load() {
    LibTorch.load();
  }

  @Test
  void whatThisBuildPackedIsLoaded() {
    assumePacked("libactclip.so");
    assertEquals("", KernelLibrary.whyNotLoaded());
    assertEquals("", KernelLibrary.whyNotLoaded());
  }

  @Test
  void withoutCudaTheReasonIsTheDevices() {
    assumeFalse(torch.cuda_is_available());
    assertEquals(Devices.whyNoCuda(), KernelLibrary.whyNotLoadedForCuda());
  }

  @Test
  void withCudaWhatThisBuildPackedIsLoaded() {
    assumeTrue(torch.cuda_is_available());
    assumePacked("libactclip_cuda.so");
    assertEquals("", KernelLibrary.whyNotLoadedForCuda());
  }

  @Test
  void aLibraryThatWasNotPackedIsOneClause() {
    assertEquals(
        "actclip was built without "
            + System.mapLibraryName("absent")
            + " for "
            + LibTorch.platform(),
        KernelLibrary.load("absent"));
  }

  @Test
  @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
  void aDamagedLibraryIsOneClause() {
    String reason = KernelLibrary.load("damaged");
    assertTrue(reason.startsWith("libdamaged.so cannot be loaded ("), reason);
    assertEquals(1, reason.lines().count(), reason);
  }

  private static void assumePacked(String file) {
    assumeTrue(
        KernelLibrary.class.getResource(LibTorch.platform() + "/" + file) != null,
        "this build has no " + file);
  }
}
