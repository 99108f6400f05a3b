package io.github.actclip.samples.cli;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.FilePath;
import io.github.actclip.runtime.Resources;
import io.github.actclip.samples.benchmark.BenchmarkCommand;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.TypeConversionException;

/**
 * The command line. Exit status: 0; 2 for bad input, with one line on standard error; 1 for a
 * failure; 130 after Ctrl-C. Results go to standard output, progress to standard error.
 */
@Command(
    name = "samples/run",
    description = "Trains and measures networks that learn where to clip their activations.",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    subcommands = {
      TrainCommand.class,
      EvaluateCommand.class,
      PredictCommand.class,
      ExportCommand.class,
      ServeCommand.class,
      BenchmarkCommand.class,
      InfoCommand.class
    })
final class Main {

  private Main() {}

  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT); // Its texts are English, and so are the progress bar's numbers.
    System.setProperty("java.awt.headless", "true"); // The report's plots need no display.
    int status = ExitCode.SOFTWARE;
    try {
      Resources.read(Main.class.getResource("Main.class")); // Else logging says so in 100 lines.
      CompletableFuture.runAsync(Main::log); // Logging takes its time to start, as parsing does.
      status = commandLine().execute(args);
    } catch (OutOfMemoryError e) {
      say("out of memory (" + e.getMessage() + "): take smaller batches, or a larger -Xmx");
    } catch (Throwable e) { // Whatever it is, a signal must not wait for an end that never comes.
      failed(e);
    } finally {
      Interrupt.exit(status);
    }
  }

  static CommandLine commandLine() {
    return new CommandLine(new Main())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .registerConverter(Path.class, Main::path)
        .setParameterExceptionHandler((e, given) -> badInput(e.getMessage()))
        .setExecutionExceptionHandler((e, command, parsed) -> failed(e));
  }

  private static Path path(String text) {
    try {
      return FilePath.of(text);
    } catch (ActclipException e) {
      throw new TypeConversionException(e.getMessage());
    }
  }

  private static int failed(Throwable e) {
    if (e instanceof ActclipException known && known.isBadInput()) {
      return badInput(known.getMessage());
    }
    if (!(e instanceof ActclipException)) {
      log().debug("Unexpected failure", e);
    }
    say(e.getMessage() == null ? e.toString() : e.getMessage());
    return ExitCode.SOFTWARE;
  }

  private static Logger log() {
    return LogManager.getLogger(Main.class);
  }

  private static int badInput(String message) {
    say(message);
    return ExitCode.USAGE;
  }

  /** One line on standard error. */
  static void say(String message) {
    System.err.println("samples/run: " + message.lines().findFirst().orElse(message));
  }
}
