package io.github.actclip.samples.benchmark;

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

  /** The command line, which has the benchmark as one of its commands. */
  private static final String COMMAND_LINE = "io.github.actclip.samples.cli.Main";

  private Jvm() {}

  /** What starts a contestant, a class of this package. */
  static List<String> contestant(String main) {
    return command(Jvm.class.getPackageName() + "." + main);
  }

  private static List<String> command(String main, String... arguments) {
    Stream<String> java =
        Stream.of(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    Stream<String> options =
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
            .filter(given -> OPTIONS.stream().anyMatch(given::startsWith));
    Stream<String> program = Stream.of("-cp", System.getProperty("java.class.path"), main);
    return Stream.of(java, options, program, Stream.of(arguments)).flatMap(words -> words).toList();
  }

  /** What {@code samples/run info} starts, with its own option for a program that ends so soon. */
  static List<String> info(int threads) {
    List<String> command = new ArrayList<>(command(COMMAND_LINE, "info", "--threads=" + threads));
    command.add(1, "-XX:TieredStopAtLevel=1");
    return command;
  }
}
