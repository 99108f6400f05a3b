package io.github.actclip.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/** Runs a main class in a JVM of its own, so that it can load natives afresh, or die. */
public final class ForkedJvm {

  /**
   * An environment for memory to be measured in: the heap is of one size and touched from the
   * start, so that what grows is native.
   */
  public static final Map<String, String> FIXED_HEAP =
      Map.of("JDK_JAVA_OPTIONS", "-Xms256m -Xmx256m -XX:+AlwaysPreTouch");

  /** What another JVM has to be told to have the locale of this one. */
  private static final List<String> LOCALE =
      List.of("user.language", "user.country", "user.extensions");

  private static final long TIMEOUT_SECONDS = 120;

  private final Path log;
  private final Process process;
  private final long timeoutSeconds;

  private ForkedJvm(Path log, Process process, long timeoutSeconds) {
    this.log = log;
    this.process = process;
    this.timeoutSeconds = timeoutSeconds;
  }

  /**
   * Starts {@code main} with the class path of this JVM.
   *
   * @param prefix words before the command, such as those of a shell that sets limits
   * @param properties system properties
   * @param environment variables in addition to this process's
   */
  public static ForkedJvm start(
      Class<?> main,
      List<String> prefix,
      Map<String, String> properties,
      Map<String, String> environment)
      throws IOException {
    return start(main, prefix, properties, environment, TIMEOUT_SECONDS);
  }

  /** Likewise, with arguments for {@code main} and another time to wait for its end. */
  public static ForkedJvm start(
      Class<?> main,
      List<String> prefix,
      Map<String, String> properties,
      Map<String, String> environment,
      long timeoutSeconds,
      String... args)
      throws IOException {
    List<String> command = new ArrayList<>(prefix);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-XX:TieredStopAtLevel=1"); // It does not live long enough for more to pay.
    LOCALE.stream()
        .filter(name -> System.getProperty(name) != null)
        .forEach(name -> command.add("-D" + name + "=" + System.getProperty(name)));
    new TreeMap<>(properties).forEach((name, value) -> command.add("-D" + name + "=" + value));
    command.addAll(
        List.of(
            "-XX:ErrorFile=/dev/null",
            "-cp",
            System.getProperty("java.class.path"),
            main.getName()));
    command.addAll(List.of(args));
    Path log = Files.createTempFile("forked-jvm", ".log");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().remove("JAVA_TOOL_OPTIONS"); // The JVM would say that it picked them up.
    builder.environment().putAll(environment);
    return new ForkedJvm(log, builder.start(), timeoutSeconds);
  }

  /** As {@code kill -9} does it; deletes what it printed. */
  public void kill() throws IOException, InterruptedException {
    process.destroyForcibly().waitFor();
    Files.delete(log);
  }

  /** Whether it has not ended yet. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** Waits for the end and returns what it printed to standard output and error. */
  public String awaitOutput() throws IOException, InterruptedException {
    if (!process.waitFor(timeoutSeconds, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("no end after " + timeoutSeconds + " s");
    }
    try {
      return Files.readString(log);
    } finally {
      Files.delete(log);
    }
  }
}
