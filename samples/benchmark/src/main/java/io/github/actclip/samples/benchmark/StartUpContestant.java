package io.github.actclip.samples.benchmark;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.samples.benchmark.BenchmarkCase.Part;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * A process, from its start to its end.
 *
 * @param process starts it, and waits for its end
 */
record StartUpContestant(String name, Runnable process) implements Contestant {

  /** {@code info} first, then what it takes to have the first image through {@code Net}. */
  static List<Contestant> all(BenchmarkCase in) {
    BenchmarkCase image =
        new BenchmarkCase(Part.FORWARD, 1, in.threads(), in.precision(), in.model());
    List<Contestant> all = new ArrayList<>();
    List<String> info = Jvm.info(in.threads());
    all.add(new StartUpContestant("actclip, info", () -> run(info)));
    ProcessContestant.start(Jvm.contestant("FirstImage"), image)
        .ifPresent(ours -> all.add(ours.startingUp()));
    ProcessContestant.all(image).forEach(peer -> all.add(peer.startingUp()));
    return all;
  }

  private static void run(List<String> command) {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      int status = ProcessContestant.await(process);
      if (status != 0) {
        throw ActclipException.failure(null, "%s ended with status %d", command, status);
      }
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be started: %s", command, e.getMessage());
    }
  }

  @Override
  public double measure(int passes) {
    long start = System.nanoTime();
    for (int i = 0; i < passes; i++) {
      process.run();
    }
    return (System.nanoTime() - start) / 1e6 / passes;
  }
}
