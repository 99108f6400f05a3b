package io.github.actclip.samples.cli;

import java.util.List;

/** What came of a run of the command line: its exit status, and what it printed where. */
record Result(int status, String out, String err) {

  /** The lines with what the network came to on the test images. */
  List<String> test() {
    return out.lines().filter(line -> line.startsWith("test")).toList();
  }

  double accuracy() {
    String line = out.lines().filter(l -> l.startsWith("test accuracy")).findFirst().orElseThrow();
    return Double.parseDouble(line.split("\\s+")[2]);
  }
}
