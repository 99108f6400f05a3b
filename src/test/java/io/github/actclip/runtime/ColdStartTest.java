package io.github.actclip.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.actclip.testing.ForkedJvm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The first use of LibTorch on a machine, each time in a JVM of its own with a cache of its own.
 */
@EnabledOnOs(OS.LINUX)
class ColdStartTest {

  private static final String CACHE_PROPERTY = "org.bytedeco.javacpp.cachedir";
  private static final Path DEBIAN_LIBRARIES = Path.of("/usr/lib/x86_64-linux-gnu");

  @TempDir Path folder;

  @Test
  void aForeignLibtorchOnTheLibraryPathKillsThePresetsButNotUs() throws Exception {
    Map<String, String> decoy = Map.of("LD_LIBRARY_PATH", decoyLibrary().toString());

    assertFalse(run(PlainProbe.class, Map.of(), decoy).contains("sum 1000.0"));
    assertLoads(run(LoadProbe.class, Map.of(), decoy)); // the cache is warm by now, and it helps
    deleteCache();
    assertLoads(run(LoadProbe.class, Map.of(), decoy));
  }

  @Test
  void debiansLibtorchInTheSystemFolderDoesNotKillUs() throws Exception {
    assumeForeignLibtorch();
    assertFalse(run(PlainProbe.class, Map.of(), Map.of()).contains("sum 1000.0"));
    deleteCache();
    assertLoads(run(LoadProbe.class, Map.of(), Map.of()));
  }

  @Test
  void debiansLibtorchOnTheLibraryPathDoesNotKillUs() throws Exception {
    assumeForeignLibtorch();
    assertLoads(
        run(LoadProbe.class, Map.of(), Map.of("LD_LIBRARY_PATH", DEBIAN_LIBRARIES.toString())));
  }

  @Test
  void severalProcessesMayStartAtOnce() throws Exception {
    List<ForkedJvm> processes = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      processes.add(start(LoadProbe.class, List.of(), Map.of(), Map.of()));
    }
    for (ForkedJvm process : processes) {
      assertLoads(process.awaitOutput());
    }
  }

  /** An interrupt closes the channels by which files are locked, before and meanwhile. */
  @Test
  void aDiskWithoutRoomIsOneSentenceAndTheNextCallRecoversAlsoOnAnInterruptedThread()
      throws Exception {
    // A limit on the size of files stops the write in the middle, as a full disk does.
    List<String> limit = List.of("/bin/sh", "-c", "ulimit -S -f 20000; exec \"$@\"", "sh");
    Map<String, String> properties =
        Map.of(LoadProbe.AGAIN_PROPERTY, "true", LoadProbe.INTERRUPTED_PROPERTY, "true");
    String output = start(LoadProbe.class, limit, properties, Map.of()).awaitOutput();
    assertTrue(output.contains("at first: LibTorch's native libraries cannot be unpacked"), output);
    assertFalse(output.contains("null"), output);
    assertLoads(output);
    assertTrue(output.contains("interrupted true"), output);
  }

  @Test
  void aDiskWithoutRoomIsOneSentenceAndTheNextStartRecovers() throws Exception {
    List<String> limit = List.of("/bin/sh", "-c", "ulimit -f 20000; exec \"$@\"", "sh");
    String output = start(LoadProbe.class, limit, Map.of(), Map.of()).awaitOutput();
    assertRefused(output, "cannot be unpacked into " + cache());

    assertLoads(run(LoadProbe.class, Map.of(), Map.of()));
  }

  /** As two web applications in one server have them. */
  @Test
  void aSecondClassLoaderIsRefusedWhereAForeignLibtorchWouldComeIn() throws Exception {
    LibTorch.load();
    Map<String, String> cached = Map.of(CACHE_PROPERTY, Loader.getCacheDir().toString());
    Map<String, String> decoy = Map.of("LD_LIBRARY_PATH", decoyLibrary().toString());
    List<String> lines = run(ClassLoaderProbe.class, cached, decoy).lines().toList();
    assertEquals(4, lines.size(), lines.toString());
    assertEquals("1: loaded", lines.get(0));
    for (String line : lines.subList(1, 3)) {
      assertTrue(line.startsWith("2: refused: another class loader of this JVM has loaded"), line);
    }
    assertTrue(
        lines.get(3).startsWith("3: refused: this process has loaded another"), lines.get(3));
  }

  @Test
  void aCacheFolderThatCannotBeMadeIsOneSentence() throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "in the way");
    String output =
        run(LoadProbe.class, Map.of(CACHE_PROPERTY, file.resolve("cache").toString()), Map.of());
    assertRefused(output, "the cache folder " + file.resolve("cache"));
  }

  @Test
  void aPlatformWithoutNativesIsOneSentence() throws Exception {
    String output =
        run(LoadProbe.class, Map.of("org.bytedeco.javacpp.platform", "linux-riscv64"), Map.of());
    assertRefused(output, "for the platform linux-riscv64");
  }

  @Test
  void loadsWithAnEmptyCacheAndADamagedLibraryIsOneSentence() throws Exception {
    assertLoads(run(LoadProbe.class, Map.of(), Map.of()));
    Path library = unpacked("libjnitorch.so");
    var time = Files.getLastModifiedTime(library);
    Files.write(library, new byte[(int) Files.size(library)]);
    Files.setLastModifiedTime(library, time); // so that JavaCPP believes it is the one it unpacked

    assertRefused(run(LoadProbe.class, Map.of(), Map.of()), "cannot be loaded from " + cache());
  }

  @Test
  void theLimitOnMemoryIsLiftedUnlessAPropertySetsOne() throws Exception {
    String lifted = runWithAFullCache(Map.of(), Map.of());
    assertTrue(lifted.contains("memory limit 0"), lifted);
    for (String name : List.of("maxPhysicalBytes", "maxphysicalbytes")) {
      String set = runWithAFullCache(Map.of("org.bytedeco.javacpp." + name, "3g"), Map.of());
      assertTrue(set.contains("memory limit " + (3L << 30)), set);
    }
  }

  @Test
  void thePoolsAreSizedByPolicyAndByProperty() throws Exception {
    String bySystem = runWithAFullCache(Map.of(), Map.of("OMP_NUM_THREADS", "1"));
    assertTrue(bySystem.contains("threads 1 blas 1"), bySystem);
    String byProperty =
        runWithAFullCache(
            Map.of(LibTorch.THREADS_PROPERTY, "3", LibTorch.BLAS_THREADS_PROPERTY, "2"), Map.of());
    assertTrue(byProperty.contains("threads 3 blas 2"), byProperty);
  }

  @Test
  void aThreadPropertyThatIsNoCountIsOneSentence() throws Exception {
    for (String value : List.of("0", "", "100000")) {
      String output = run(LoadProbe.class, Map.of(LibTorch.THREADS_PROPERTY, value), Map.of());
      assertRefused(output, "actclip.threads (" + value + ") must be a whole number");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"load", "auto", "of", "scope", "info", "threads", "net"})
  void whateverIsCalledFirstRefusesInTheSameWay(String first) throws Exception {
    // "net" needs a full cache, as its Javadoc says.
    String output =
        runWithAFullCache(
            Map.of(LoadProbe.FIRST_PROPERTY, first, LibTorch.THREADS_PROPERTY, "x"), Map.of());
    assertRefused(output, "actclip.threads (x) must be a whole number");
  }

  private static void assertLoads(String output) {
    assertTrue(output.contains("sum 1000.0"), output);
    if (System.getProperty(KernelLibrary.BACKEND_PROPERTY) == null) { // The other JVM has none.
      String kernels = "kernels: " + KernelLibrary.whyNotLoaded();
      assertTrue(output.lines().anyMatch(kernels::equals), output);
    }
  }

  /** The JVM's own warnings may stand before the sentence, but no stack trace and no crash. */
  private static void assertRefused(String output, String reason) {
    String sentence = output.lines().reduce((first, last) -> last).orElse("");
    assertTrue(sentence.startsWith("refused: "), output);
    assertTrue(sentence.contains(reason), output);
    assertFalse(output.contains("\tat "), output);
  }

  /** In CI it is installed; elsewhere its absence is shown as a skipped test. */
  private static void assumeForeignLibtorch() {
    boolean there = Files.exists(DEBIAN_LIBRARIES.resolve("libtorch_cpu.so"));
    assertTrue(there || System.getenv("CI") == null, "CI must install Debian's libtorch");
    assumeTrue(there, "needs Debian's libtorch-dev");
  }

  private Path cache() {
    return folder.resolve("cache");
  }

  private Path unpacked(String name) throws IOException {
    try (Stream<Path> files = Files.walk(cache())) {
      return files.filter(file -> file.endsWith(name)).findFirst().orElseThrow();
    }
  }

  private void deleteCache() throws IOException {
    Loader.deleteDirectory(cache().toFile());
  }

  /** A folder with a library of the right name that is not LibTorch. */
  private Path decoyLibrary() throws IOException {
    Path gomp =
        Loader.cacheResource(ColdStartTest.class, "/org/bytedeco/pytorch/linux-x86_64/libgomp.so.1")
            .toPath();
    Path decoy = Files.createDirectory(folder.resolve("decoy"));
    Files.copy(gomp, decoy.resolve("libtorch_cpu.so"));
    return decoy;
  }

  /** With this JVM's cache: to fill one takes longer than all else. */
  private String runWithAFullCache(Map<String, String> properties, Map<String, String> environment)
      throws IOException, InterruptedException {
    LibTorch.load();
    Map<String, String> all = new HashMap<>(properties);
    all.put(CACHE_PROPERTY, Loader.getCacheDir().toString());
    return run(LoadProbe.class, all, environment);
  }

  private String run(Class<?> main, Map<String, String> properties, Map<String, String> environment)
      throws IOException, InterruptedException {
    return start(main, List.of(), properties, environment).awaitOutput();
  }

  private ForkedJvm start(
      Class<?> main,
      List<String> prefix,
      Map<String, String> properties,
      Map<String, String> environment)
      throws IOException {
    Map<String, String> all = new HashMap<>(Map.of(CACHE_PROPERTY, cache().toString()));
    all.putAll(properties);
    return ForkedJvm.start(main, prefix, all, environment);
  }
}
