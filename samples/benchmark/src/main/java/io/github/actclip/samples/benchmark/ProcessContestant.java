package io.github.actclip.samples.benchmark;

import io.github.actclip.runtime.ActclipException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * One in a process of its own, which waits while the others are measured. It says its name in its
 * first line, and for each number that it reads it does so many passes and says milliseconds a
 * pass.
 */
final class ProcessContestant implements Contestant {

  private static final List<String> INTERPRETERS = List.of("python3", "/usr/bin/python3");
  private static final String SCRIPT = "net_benchmark.py";

  /** All but the first are there in a build with the profile {@code peers} only. */
  private static final List<String> MAINS =
      List.of("UntunedJavaCpp", "Djl", "OnnxRuntime", "OnnxRuntimeInt8");

  /** Those of them that know other networks than Net, or that several callers can ask. */
  private static final List<String> PEERS = MAINS.subList(1, MAINS.size());

  private static final long SECONDS_TO_END = 30;

  private static final Logger LOG = LogManager.getLogger(ProcessContestant.class);

  private final List<String> command;
  private final Process process;
  private final BufferedReader answers;
  private final Writer requests;
  private final String name;

  /** Waits until it has said its name; without one when it ended. */
  private ProcessContestant(List<String> command) throws IOException {
    this.command = command;
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    answers = process.inputReader();
    requests = process.outputWriter();
    name = answers.readLine();
  }

  /** Those of them that are on this machine and can do it, for Net. */
  static List<ProcessContestant> all(BenchmarkCase in) {
    List<ProcessContestant> all = new ArrayList<>();
    python(in).ifPresent(all::add);
    all.addAll(jvms(MAINS, in));
    return all;
  }

  /** Those that answer callers as a predictor does, where they can do the case. */
  static List<ProcessContestant> peers(BenchmarkCase in) {
    return jvms(PEERS, in);
  }

  private static List<ProcessContestant> jvms(List<String> mains, BenchmarkCase in) {
    return mains.stream()
        .filter(main -> ProcessContestant.class.getResource(main + ".class") != null)
        .flatMap(main -> start(Jvm.contestant(main), in).stream())
        .toList();
  }

  /** Python, where one has its PyTorch, and for some networks torchvision. */
  static Optional<ProcessContestant> python(BenchmarkCase in) {
    return INTERPRETERS.stream()
        .flatMap(python -> start(List.of(python, "-c", script()), in).stream())
        .findFirst();
  }

  static Optional<ProcessContestant> start(List<String> program, BenchmarkCase in) {
    Stream<String> arguments =
        Stream.of(
                in.part(), in.size(), in.threads(), BenchmarkCase.lower(in.precision()), in.model())
            .map(Object::toString);
    try {
      ProcessContestant contestant =
          new ProcessContestant(Stream.concat(program.stream(), arguments).toList());
      if (contestant.name == null) {
        warnOfFailure(program, contestant.process);
        return Optional.empty();
      }
      return Optional.of(contestant);
    } catch (IOException e) {
      return Optional.empty(); // No such program.
    }
  }

  /** Nothing is wrong with one that cannot do it, and a Python without PyTorch is no contestant. */
  private static void warnOfFailure(List<String> program, Process process) {
    int status = await(process);
    if (status != 0 && !INTERPRETERS.contains(program.get(0))) {
      LOG.warn(
          "{} is not measured: it ended with status {}", program.get(program.size() - 1), status);
    }
  }

  /** Ends it, and makes a contestant of what it takes to be ready, with a first pass done. */
  Contestant startingUp() {
    close();
    return new StartUpContestant(name, this::startAndEnd);
  }

  private void startAndEnd() {
    try (ProcessContestant started = new ProcessContestant(command)) {
      if (started.name == null) {
        throw ActclipException.failure(null, "%s did not start again", name);
      }
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be started: %s", name, e.getMessage());
    }
  }

  static int await(Process process) {
    try {
      if (!process.waitFor(SECONDS_TO_END, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
      return process.waitFor();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      return 1;
    }
  }

  private static String script() {
    try (InputStream in = ProcessContestant.class.getResourceAsStream(SCRIPT)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public double measure(int passes) {
    try {
      requests.write(passes + "\n");
      requests.flush();
      String answer = answers.readLine();
      if (answer == null) {
        throw ActclipException.failure(null, "%s ended in the middle of the benchmark", name);
      }
      return Double.parseDouble(answer);
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be asked: %s", name, e.getMessage());
    }
  }

  /** Waits for its end: the next case is not to be measured beside it. */
  @Override
  public void close() {
    try {
      requests.close();
    } catch (IOException e) {
      process.destroyForcibly();
    }
    await(process);
  }
}
