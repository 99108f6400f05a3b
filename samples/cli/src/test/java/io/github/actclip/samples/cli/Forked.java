package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A program of the samples in a JVM of its own, as a user runs it. */
final class Forked {

  /** What another JVM has to be told to be like this one: the cache and the locale. */
  private static final List<String> PROPERTIES =
      List.of("org.bytedeco.javacpp.cachedir", "user.language", "user.country", "user.extensions");

  private static final long TIMEOUT_SECONDS = 400;
  private static final String IGNORED = "SigIgn:";

  private final Process process;
  private final Path out;
  private final Path err;

  private Forked(Process process, Path out, Path err) {
    this.process = process;
    this.out = out;
    this.err = err;
  }

  /** Starts the command line. */
  static Forked start(String... args) throws IOException {
    return start(Main.class, args);
  }

  /** Starts a main class. */
  static Forked start(Class<?> main, String... args) throws IOException {
    return start(List.of(), main, args);
  }

  /** Starts a main class with options for its JVM. */
  static Forked start(List<String> jvmOptions, Class<?> main, String... args) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-XX:TieredStopAtLevel=1"); // It does not live long enough for more to pay.
    command.addAll(jvmOptions);
    PROPERTIES.stream()
        .filter(name -> System.getProperty(name) != null)
        .forEach(name -> command.add("-D" + name + "=" + System.getProperty(name)));
    command.add("--enable-native-access=ALL-UNNAMED"); // what the jar's manifest says
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(List.of(args));
    Path out = Files.createTempFile("samples", ".out");
    Path err = Files.createTempFile("samples", ".err");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().remove("JAVA_TOOL_OPTIONS"); // The JVM would say that it picked them up.
    return new Forked(builder.start(), out, err);
  }

  /**
   * Skips a test that sends Ctrl-C where this JVM was started to ignore it, as by {@code nohup mvn
   * verify &}: every program that it starts ignores it, too, and would go on to its end.
   */
  static void assumeCtrlCIsHeard() throws IOException {
    Path status = Path.of("/proc/self/status"); // on Linux
    try (Stream<String> lines = Files.exists(status) ? Files.lines(status) : Stream.empty()) {
      assumeFalse(
          lines.filter(line -> line.startsWith(IGNORED)).anyMatch(Forked::hasInterrupt),
          "SIGINT is ignored since this JVM was started, as in a script's background job");
    }
  }

  /** Of signal n, bit n − 1 is set. */
  private static boolean hasInterrupt(String line) {
    return (Long.parseUnsignedLong(line.substring(IGNORED.length()).trim(), 16) & 2) != 0;
  }

  /** Sends the signal that Ctrl-C sends. */
  void interrupt() throws IOException, InterruptedException {
    new ProcessBuilder("kill", "-INT", String.valueOf(process.pid())).start().waitFor();
  }

  /** Ends it at once, whatever it is doing. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  /** Waits for its end for some time. */
  boolean awaitEnd(long millis) throws InterruptedException {
    return process.waitFor(millis, TimeUnit.MILLISECONDS);
  }

  /** Waits until the file is there, while the program runs. */
  void awaitFile(Path file) throws InterruptedException {
    for (int i = 0; i < TIMEOUT_SECONDS * 20 && !Files.exists(file); i++) {
      if (!process.isAlive()) {
        throw new AssertionError("it ended without " + file);
      }
      Thread.sleep(50);
    }
  }

  /** The first line that it prints, while it runs. */
  String awaitLine() throws IOException, InterruptedException {
    for (int i = 0; i < TIMEOUT_SECONDS * 20; i++) {
      String printed = Files.readString(out);
      if (printed.contains("\n")) {
        return printed.lines().findFirst().orElseThrow();
      }
      if (!process.isAlive()) {
        throw new AssertionError("it ended without a line: " + Files.readString(err));
      }
      Thread.sleep(50);
    }
    throw new AssertionError("no line after " + TIMEOUT_SECONDS + " s");
  }

  Result await() throws IOException, InterruptedException {
    if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("no end after " + TIMEOUT_SECONDS + " s: " + Files.readString(err));
    }
    Result result = new Result(process.exitValue(), Files.readString(out), Files.readString(err));
    Files.delete(out);
    Files.delete(err);
    return result;
  }
}
