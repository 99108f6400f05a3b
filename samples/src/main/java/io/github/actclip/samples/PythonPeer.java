package io.github.actclip.samples;

import io.github.actclip.runtime.ActclipException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/** The same step in a Python process of its own, which waits while the others are measured. */
final class PythonPeer implements AutoCloseable {

  private static final List<String> INTERPRETERS = List.of("python3", "/usr/bin/python3");
  private static final String SCRIPT = "step_benchmark.py";

  private final Process process;
  private final BufferedReader answers;
  private final Writer requests;
  private final String version;

  private PythonPeer(Process process, BufferedReader answers, String version) {
    this.process = process;
    this.answers = answers;
    this.version = version;
    requests = process.outputWriter();
  }

  /** Starts the first interpreter that has PyTorch, if one does. */
  static Optional<PythonPeer> start(int batchSize, int threads) {
    return INTERPRETERS.stream()
        .map(python -> start(python, batchSize, threads))
        .flatMap(Optional::stream)
        .findFirst();
  }

  private static Optional<PythonPeer> start(String python, int batchSize, int threads) {
    try {
      Process process =
          new ProcessBuilder(
                  python, "-c", script(), String.valueOf(batchSize), String.valueOf(threads))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      BufferedReader answers = process.inputReader();
      String version = answers.readLine();
      return Optional.ofNullable(version).map(v -> new PythonPeer(process, answers, v));
    } catch (IOException e) {
      return Optional.empty(); // No such interpreter.
    }
  }

  private static String script() throws IOException {
    try (InputStream in = PythonPeer.class.getResourceAsStream(SCRIPT)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** PyTorch's version. */
  String version() {
    return version;
  }

  /** Milliseconds a step, over that many steps. */
  double measure(int steps) {
    try {
      requests.write(steps + "\n");
      requests.flush();
      String answer = answers.readLine();
      if (answer == null) {
        throw ActclipException.failure(null, "Python ended in the middle of the benchmark");
      }
      return Double.parseDouble(answer);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    process.destroy();
  }
}
