package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What happens in a JVM that has little of something. */
class WeightsLimitsTest {

  @TempDir Path directory;

  /** Runs in the other JVM, and leaves the outcome in a file. */
  static final class OtherJvm {

    public static void main(String[] args) throws IOException {
      LibTorch.load();
      Path file = Path.of(args[1]);
      Map<String, Tensor> tensors = Map.of("a", AbstractTensor.create(new float[1_000_000]));
      long before = Pointer.totalCount();
      String outcome = "it worked";
      try {
        if (args[0].equals("write")) {
          Safetensors.write(file, tensors, Map.of());
        } else {
          StateDict.read(file);
        }
      } catch (ActclipException e) {
        outcome = (e.isBadInput() ? "bad input: " : "failure: ") + e.getMessage();
      }
      // Fewer when the garbage collector has found something of LibTorch's start.
      long left = Math.max(0, Pointer.totalCount() - before);
      Files.writeString(Path.of(args[2]), outcome + " Objects left: " + left);
    }
  }

  @Test
  void headersThatDoNotFitInTheHeapAreRefused() throws Exception {
    Path file = directory.resolve("big.safetensors");
    String entry = SafetensorsFiles.entry("U8", "[0]", 0, 0);
    StringBuilder manyTensors = new StringBuilder("{");
    for (int i = 0; i < 300_000; i++) {
      manyTensors.append('"').append(i).append("\":").append(entry).append(',');
    }
    manyTensors.append("\"last\":").append(entry).append('}');
    String manySizes = "{\"a\":{\"shape\":[" + "12345,".repeat(5_000_000) + "1]}}";
    for (String json :
        new String[] {manyTensors.toString(), manySizes, "{" + " ".repeat(95 << 20)}) {
      Files.write(file, SafetensorsFiles.of(json, new byte[0]));
      String outcome = inOtherJvm("", "-Xmx48m", "read", file);
      // HotSpot may go on: "Java heap space: failed reallocation of scalar replaced objects".
      String sentence =
          "failure: "
              + file
              + " does not fit in the memory of this JVM, see its option -Xmx: Java heap space";
      assertTrue(outcome.startsWith(sentence), outcome);
      assertTrue(outcome.endsWith(" Objects left: 0"), outcome);
    }
  }

  @Test
  void picklesThatDoNotFitInTheHeapAreRefused() throws Exception {
    Path file = directory.resolve("big.pt");
    Files.write(file, PyTorchFiles.of("]".repeat(20 << 20), new byte[0]));
    String outcome = inOtherJvm("", "-Xmx48m", "read", file);
    String sentence =
        "failure: "
            + file
            + " does not fit in the memory of this JVM, see its option -Xmx: Java heap space";
    assertTrue(outcome.startsWith(sentence), outcome);

    Files.write(file, PyTorchFiles.of("]".repeat((64 << 20) + 1), new byte[0]));
    assertEquals(
        "bad input: "
            + file
            + " is not a valid PyTorch file: \"a/data.pkl\" has 67108865 bytes; at most 67108864"
            + " are read Objects left: 0",
        inOtherJvm("", "-Xmx48m", "read", file));
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void tensorsThatDoNotFitInMemoryAreRefused() throws Exception {
    Path file = directory.resolve("sparse.safetensors");
    long bytes = 1L << 36;
    StringBuilder json = new StringBuilder("{");
    for (int i = 0; i < 100; i++) {
      json.append('"').append(i).append("\":");
      json.append(SafetensorsFiles.entry("U8", "[1]", i, i + 1)).append(',');
    }
    json.append("\"huge\":");
    json.append(SafetensorsFiles.entry("U8", "[" + bytes + "]", 100, 100 + bytes)).append('}');
    byte[] head = SafetensorsFiles.of(json.toString(), new byte[0]);
    Files.write(file, head);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.allocate(1), head.length + 99 + bytes);
    }

    String outcome = inOtherJvm("ulimit -v 16000000; ", "-Xmx256m", "read", file);

    assertEquals(
        "failure: There is no memory for the 68719476736 bytes of tensor \"huge\""
            + " Objects left: 0",
        outcome);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aFullDiskLeavesNoFile() throws Exception {
    Path out = Files.createDirectory(directory.resolve("out"));
    Path file = out.resolve("a.safetensors");

    String outcome = inOtherJvm("ulimit -f 1000; ", "-Xmx256m", "write", file);

    assertEquals(
        "failure: " + file + " cannot be written: File too large Objects left: 0", outcome);
    try (Stream<Path> left = Files.list(out)) {
      assertEquals(0, left.count());
    }
  }

  private String inOtherJvm(String limit, String heap, String what, Path file) throws Exception {
    Path outcome = directory.resolve("outcome");
    Files.deleteIfExists(outcome);
    Path log = directory.resolve("log");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    String[] jvm = {
      java,
      heap,
      "-XX:-UsePerfData",
      "-cp",
      System.getProperty("java.class.path"),
      OtherJvm.class.getName(),
      what,
      file.toString(),
      outcome.toString()
    };
    String[] shell = {"sh", "-c", limit + "exec \"$@\"", "sh"};
    Process process =
        new ProcessBuilder(Stream.of(shell, jvm).flatMap(Stream::of).toList())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    assertEquals(0, process.waitFor(), () -> readString(log));
    return Files.readString(outcome, StandardCharsets.UTF_8);
  }

  private static String readString(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
