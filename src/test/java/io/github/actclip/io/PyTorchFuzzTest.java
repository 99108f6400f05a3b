package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.testing.RandomCases;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Whatever is done to a file, reading it works or is refused, in little memory and time. */
class PyTorchFuzzTest {

  /** Instructions and values, to stand in any order between those of the valid pickle. */
  private static final List<String> PIECES =
      List.of(
          "(",
          ")",
          "}",
          "]",
          "N",
          "\u0088",
          "\u0085",
          "\u0086",
          "\u0087",
          "t",
          "s",
          "u",
          "a",
          "e",
          "b",
          "R",
          "Q",
          "q\u0000",
          "h\u0000",
          "h\u0003",
          "K\u0007",
          ".",
          "j\u00ff\u00ff\u00ff\u007f",
          "J\u00ff\u00ff\u00ff\u007f",
          "r\u0001\u0000\u0000\u0000",
          "G\u007f\u00f0\u0000\u0000\u0000\u0000\u0000\u0000",
          PyTorchFiles.text("0"),
          PyTorchFiles.text("storage"),
          PyTorchFiles.integer(Long.MAX_VALUE),
          PyTorchFiles.integer(-1),
          PyTorchFiles.tuple(1L << 40),
          PyTorchFiles.tuple(0),
          PyTorchFiles.NO_HOOKS,
          PyTorchFiles.TENSOR,
          PyTorchFiles.global("torch", "FloatStorage"),
          PyTorchFiles.storage("FloatStorage", "0", PyTorchFiles.integer(24)));

  private static final long MAX_HEAP_BYTES = 1 << 20;
  private static final long MAX_NANOS = 2_000_000_000L;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private static Path file;
  private static byte[] valid;
  private static byte[] pickle;
  private static Map<String, byte[]> entries;

  @BeforeAll
  static void makeValidFile() throws IOException {
    LibTorch.load();
    file = Files.createTempFile("fuzz", ".pt");
    try (InputStream in = PyTorchFuzzTest.class.getResourceAsStream("/fixtures/pytorch/views.pt")) {
      valid = in.readAllBytes();
    }
    Files.write(file, valid);
    StateDict.read(file).values().forEach(Tensor::close);
    entries = unzip(file);
    pickle = entries.get("views/data.pkl");
    readOrRefuse(valid);
  }

  private static Map<String, byte[]> unzip(Path file) throws IOException {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    try (var zip = new ZipFile(file.toFile())) {
      for (ZipEntry entry : zip.stream().toList()) {
        entries.put(entry.getName(), zip.getInputStream(entry).readAllBytes());
      }
    }
    return entries;
  }

  @AfterAll
  static void deleteFile() throws IOException {
    Files.delete(file);
  }

  @Test
  void survivesChangedBytesOfTheArchive() {
    RandomCases.check(3_000, random -> readOrRefuse(Mutations.of(valid, 4, random)));
  }

  @Test
  void survivesTruncationAndTrailingBytes() {
    RandomCases.check(1_000, random -> readOrRefuse(Mutations.ofAnotherLength(valid, 4, random)));
  }

  /** In an archive whose checksums are right, so that the pickle is read. */
  @Test
  void survivesChangedBytesOfThePickle() {
    RandomCases.check(5_000, random -> readOrRefuse(archive(Mutations.of(pickle, 4, random))));
  }

  @Test
  void survivesOtherInstructions() {
    RandomCases.check(5_000, random -> readOrRefuse(archive(spliced(random))));
  }

  private static byte[] spliced(SplittableRandom random) {
    String pieces =
        random
            .ints(random.nextInt(13), 0, PIECES.size())
            .mapToObj(PIECES::get)
            .collect(Collectors.joining());
    int from = random.nextInt(pickle.length + 1);
    return splice(from, random.nextInt(pickle.length + 1), PyTorchFiles.bytes(pieces));
  }

  /** The valid pickle up to one place, the pieces, and on from another place. */
  private static byte[] splice(int from, int to, byte[] pieces) {
    byte[] bytes = new byte[from + pieces.length + pickle.length - to];
    System.arraycopy(pickle, 0, bytes, 0, from);
    System.arraycopy(pieces, 0, bytes, from, pieces.length);
    System.arraycopy(pickle, to, bytes, from + pieces.length, pickle.length - to);
    return bytes;
  }

  private static byte[] archive(byte[] pickle) throws IOException {
    Map<String, byte[]> changed = new LinkedHashMap<>(entries);
    changed.put("views/data.pkl", pickle);
    return PyTorchFiles.zip(changed);
  }

  private static void readOrRefuse(byte[] content) throws IOException {
    Files.write(file, content);
    long heap = THREADS.getCurrentThreadAllocatedBytes();
    long start = System.nanoTime();
    try {
      StateDict.read(file).values().forEach(Tensor::close);
    } catch (ActclipException e) {
      assertTrue(e.isBadInput(), e.getMessage());
    }
    long nanos = System.nanoTime() - start;
    long allocated = THREADS.getCurrentThreadAllocatedBytes() - heap;
    assertTrue(allocated < MAX_HEAP_BYTES, () -> allocated + " bytes of heap");
    assertTrue(nanos < MAX_NANOS, () -> nanos + " ns");
  }
}
