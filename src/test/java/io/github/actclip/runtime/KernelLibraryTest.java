package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

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

  /** The presets load a second one, and LibTorch may call either. */
  @Test
  void everyOpenBlasHasThatManyThreads() {
    assumePacked("libactclip.so");
    assertEquals(1, Threads.blas());
    try {
      KernelLibrary.setBlasThreads(2);
      openblas_nolapack.blas_set_num_threads(1); // One of them.
      assertEquals(2, Threads.blas());
    } finally {
      KernelLibrary.setBlasThreads(1);
    }
    assertEquals(1, Threads.blas());
  }

  /** As of another class loader's; LibTorch takes operations of one name once. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aSecondCopyIsRefused(@TempDir Path folder) throws Exception {
    assumePacked("libactclip.so");
    assertEquals("", KernelLibrary.whyNotLoaded());
    Path copy = folder.resolve("libcopy.so");
    try (InputStream packed =
        KernelLibrary.class.getResourceAsStream(LibTorch.platform() + "/libactclip.so")) {
      Files.copy(packed, copy);
    }
    assertThrows(UnsatisfiedLinkError.class, () -> System.load(copy.toString()));
  }

  /** Where malloc puts the tensors differs: the end of a thread's arena is a case of its own. */
  @RepeatedTest(10)
  @EnabledOnOs(OS.LINUX)
  void freedMemoryIsKeptAndGoesBackWhenAsked() {
    assumePacked("libactclip.so");
    KernelLibrary.releaseFreedMemory();
    long before = Pointer.physicalBytes();
    TensorScope.run(() -> IntStream.range(0, 40).forEach(i -> torch.ones(1 << 18)));
    long kept = Pointer.physicalBytes();
    KernelLibrary.releaseFreedMemory();
    long left = Pointer.physicalBytes();
    assertTrue(kept - before > 20 << 20, kept - before + " bytes of 40 MiB are kept");
    assertTrue(kept - left > 30 << 20, kept - left + " bytes went back");
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

  @Test
  void anotherBuildOfTheSameSizeAndTimeIsUnpackedToo(@TempDir Path folder) throws Exception {
    Path packed = folder.resolve("libactclip.so");
    for (String content : List.of("old", "new", "old")) {
      Files.writeString(packed, content);
      Files.setLastModifiedTime(packed, FileTime.fromMillis(0));
      Path unpacked =
          KernelLibrary.unpack(packed.toUri().toURL(), "libactclip.so", folder.resolve("cache"));
      assertEquals(content, Files.readString(unpacked));
    }
  }

  private static void assumePacked(String file) {
    assumeFalse("composed".equals(System.getProperty(KernelLibrary.BACKEND_PROPERTY)));
    assumeTrue(
        KernelLibrary.class.getResource(LibTorch.platform() + "/" + file) != null,
        "this build has no " + file);
  }
}
