package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/** Every option is explained, is in the README, and is given in a test. */
class OptionsTest {

  private static final List<String> STANDARD = List.of("--help", "--version");

  static Stream<Arguments> options() {
    return commands(Main.commandLine())
        .flatMap(
            command ->
                command.getCommandSpec().options().stream()
                    .filter(option -> !STANDARD.contains(option.longestName()))
                    .map(option -> Arguments.of(command.getCommandName(), option)));
  }

  private static Stream<CommandLine> commands(CommandLine command) {
    return Stream.concat(
        Stream.of(command),
        command.getSubcommands().values().stream().flatMap(OptionsTest::commands));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("options")
  void isExplainedAndTested(String command, OptionSpec option) throws IOException {
    String name = option.longestName();
    assertFalse(String.join("", option.description()).isBlank(), name + " has no description");
    assertTrue(
        mentions(Files.readString(Path.of("../../README.md")), name), name + " in README.md");
    String page = Files.readString(Path.of("../../src/site/markdown/running.md"));
    assertTrue(mentions(page, name) || !command.equals("train"), name + " in running.md");
    assertTrue(mentions(tests(), name), name + " is given in no test");
  }

  private static boolean mentions(String text, String name) {
    return text.matches("(?s).*" + name + "(?![\\w-]).*");
  }

  /** The other tests of the command line. */
  private static String tests() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/java/io/github/actclip/samples/cli"))) {
      return files
          .filter(file -> !file.endsWith("OptionsTest.java"))
          .map(OptionsTest::read)
          .collect(Collectors.joining());
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
