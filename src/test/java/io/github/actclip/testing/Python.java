package io.github.actclip.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A Python that has PyTorch, where the machine has one. */
public final class Python {

  private static final List<String> INTERPRETERS = List.of("python3", "/usr/bin/python3");

  private final String interpreter;

  private Python(String interpreter) {
    this.interpreter = interpreter;
  }

  /** The first interpreter that can import these modules. */
  public static Optional<Python> with(String... modules) throws Exception {
    for (String interpreter : INTERPRETERS) {
      try {
        if (start(interpreter, "-c", "import " + String.join(", ", modules)).waitFor() == 0) {
          return Optional.of(new Python(interpreter));
        }
      } catch (IOException e) {
        continue; // There is no such interpreter.
      }
    }
    return Optional.empty();
  }

  /** Runs a script of {@code src/test/python}; it must end well. */
  public void run(String script, Object... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("src/test/python/" + script));
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    Process process = start(interpreter, command.toArray(String[]::new));
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
  }

  private static Process start(String interpreter, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(interpreter, "-B")); // No compiled files.
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }
}
