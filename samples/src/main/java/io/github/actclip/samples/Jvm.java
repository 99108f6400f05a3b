package io.github.actclip.samples;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Programs in JVMs like this one. */
final class Jvm {

  /** What {@code samples/run} starts the JVM with. */
  private static final List<String> OPTIONS =
      List.of("-XX:+UseSerialGC", "-XX:SharedArchiveFile=", "-Xlog:cds");

  private Jvm() {}

  /** What starts a class of this package. */
  static List<String> command(String main, String... arguments) {
    Stream<String> java =
        Stream.of(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    Stream<String> options =
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
            .filter(given -> OPTIONS.stream().anyMatch(given::startsWith));
    Stream<String> program =
        Stream.of(
            "-cp", System.getProperty("java.class.path"), Jvm.class.getPackageName() + "." + main);
    return Stream.of(java, options, program, Stream.of(arguments)).flatMap(words -> words).toList();
  }

  /** What {@code samples/run info} starts, with its own option for a program that ends so soon. */
  static List<String> info(int threads) {
    List<String> command = new ArrayList<>(command("Main", "info", "--threads=" + threads));
    command.add(1, "-XX:TieredStopAtLevel=1");
    return command;
  }
}
