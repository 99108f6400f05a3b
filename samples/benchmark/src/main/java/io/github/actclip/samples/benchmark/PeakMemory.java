package io.github.actclip.samples.benchmark;

import io.github.actclip.runtime.KernelLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/** How much memory this process takes at most, as Linux counts it. */
final class PeakMemory {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final Path FORGET = Path.of("/proc/self/clear_refs");
  private static final String FORGET_PEAK = "5";
  private static final String PEAK = "VmHWM";

  private PeakMemory() {}

  /**
   * The bytes that a task took at most beyond those that the process had, its pages fresh; nothing
   * where the system does not tell, or counts too coarsely to see them.
   */
  static OptionalLong of(Runnable task) {
    KernelLibrary.releaseFreedMemory();
    try {
      Files.writeString(FORGET, FORGET_PEAK);
      long before = peak();
      task.run();
      long most = peak() - before;
      return most > 0 ? OptionalLong.of(most) : OptionalLong.empty();
    } catch (IOException e) {
      return OptionalLong.empty();
    }
  }

  /** A line reads {@code VmHWM: 1234 kB}. */
  private static long peak() throws IOException {
    for (String line : Files.readAllLines(STATUS)) {
      if (line.startsWith(PEAK)) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new IOException(STATUS + " has no " + PEAK);
  }
}
