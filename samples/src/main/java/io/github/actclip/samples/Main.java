package io.github.actclip.samples;

import io.github.actclip.runtime.ActclipException;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.ParseResult;

/**
 * The command line. Exit status: 0; 2 for bad input, with one line on standard error; 1 for a
 * failure; 130 after Ctrl-C. Results go to standard output, progress to standard error.
 */
@Command(
    name = "samples/run",
    description = "Trains and measures Net, a network that learns where to clip its activations.",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    subcommands = {
      TrainCommand.class,
      EvaluateCommand.class,
      BenchmarkCommand.class,
      InfoCommand.class
    })
final class Main {

  private static final Logger LOG = LogManager.getLogger(Main.class);

  private Main() {}

  public static void main(String[] args) {
    System.setProperty("java.awt.headless", "true"); // The report's plots need no display.
    int status =
        new CommandLine(new Main())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setParameterExceptionHandler((e, given) -> badInput(e.getMessage()))
            .setExecutionExceptionHandler(Main::failed)
            .execute(args);
    Interrupt.exit(status);
  }

  private static int failed(Exception e, CommandLine command, ParseResult parsed) {
    if (!(e instanceof ActclipException known)) {
      LOG.error("Unexpected failure", e);
      return ExitCode.SOFTWARE;
    }
    if (known.isBadInput()) {
      return badInput(known.getMessage());
    }
    say(known.getMessage());
    return ExitCode.SOFTWARE;
  }

  private static int badInput(String message) {
    say(message);
    return ExitCode.USAGE;
  }

  private static void say(String message) {
    System.err.println("samples/run: " + message.lines().findFirst().orElse(message));
  }
}
