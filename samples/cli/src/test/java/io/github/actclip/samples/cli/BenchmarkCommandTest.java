package io.github.actclip.samples.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@ExtendWith(KeepsThreads.class)
class BenchmarkCommandTest {

  @TempDir Path folder;

  @Test
  void everyPartIsMeasuredBesideOthersAndWritten() throws Exception {
    Path json = folder.resolve("benchmark.json");
    String args =
        "benchmark step forward clip data --batch-sizes=2 --sizes=10 --threads=1 --rounds=3"
            + " --device=cpu";
    Result result = InThisJvm.run((args + " --json=" + json).split(" "));
    assertEquals(0, result.status(), result.err());

    JsonNode written = new ObjectMapper().readTree(Files.readString(json));
    Map<String, List<JsonNode>> parts = new HashMap<>();
    for (String part : List.of("STEP", "FORWARD", "CLIP", "DATA")) {
      parts.put(
          part,
          StreamSupport.stream(written.get("measurements").spliterator(), false)
              .filter(measurement -> measurement.get("in").get("part").asText().equals(part))
              .toList());
    }
    assertWho(parts.get("STEP"), List.of("actclip", "its convolutions", "untuned JavaCPP"));
    assertWho(parts.get("FORWARD"), List.of("actclip", "its convolutions", "untuned JavaCPP"));
    assertWho(parts.get("CLIP"), List.of("actclip", "relu, where", "a = b + 3c"));
    assertWho(parts.get("DATA"), List.of("actclip", "its steps"));
    assertEquals(written.get("measurements").size() + 2, result.out().lines().count());
    parts.values().forEach(all -> all.forEach(one -> assertCompared(one, all.get(0))));
  }

  @Test
  void anotherNetworkIsMeasuredBesideItselfWithoutClips() {
    Result result =
        InThisJvm.run(
            "benchmark step forward --model=MLP --batch-sizes=2 --threads=1 --rounds=1 --device=cpu"
                .split(" "));
    assertEquals(0, result.status(), result.err());
    assertTrue(result.out().lines().findFirst().orElseThrow().endsWith(", network mlp"));
    for (String part : List.of("step", "forward")) {
      for (String who : List.of("actclip", "plain ReLU", "PACT, 4 bits")) {
        assertTrue(
            result
                .out()
                .lines()
                .anyMatch(line -> line.startsWith(part + " ") && line.contains(" " + who + " ")),
            result.out());
      }
    }
    assertFalse(result.out().contains("convolutions"), result.out());
  }

  @Test
  void onlyWhatIsAskedForIsMeasured() {
    Result result =
        InThisJvm.run(
            "benchmark clip step --precision=bfloat16 --batch-sizes=1 --sizes=3,4 --threads=1"
                .concat(" --rounds=1")
                .split(" "));
    assertEquals(0, result.status(), result.err());
    List<String> ours = result.out().lines().filter(line -> line.contains(" actclip ")).toList();
    assertEquals(3, ours.size(), result.out());
    assertTrue(ours.get(0).matches("clip +3 +1 float32 .*"), ours.get(0));
    assertTrue(ours.get(1).matches("clip +4 +1 float32 .*"), ours.get(1));
    assertTrue(ours.get(2).matches("step +1 +1 bfloat16 .*"), ours.get(2));
  }

  @Test
  void predictionsAreForOneCallerAndForSeveral() {
    Result result =
        InThisJvm.run(
            "benchmark predict --model=mlp --threads=1 --rounds=1 --device=cpu".split(" "));
    assertEquals(0, result.status(), result.err());
    List<String> who = result.out().lines().filter(line -> line.startsWith("predict ")).toList();
    assertTrue(who.get(0).matches("predict +1 +1 float32 +Predictor .*"), result.out());
    assertTrue(who.get(1).matches("predict +1 +1 float32 +its median .*"), result.out());
    assertTrue(who.get(3).contains(" bare forward of 1 "), result.out());
    assertTrue(who.get(6).matches("predict +8 +1 float32 +Predictor .*"), result.out());
    assertTrue(who.get(9).contains(" 16 each together "), result.out());
    assertTrue(who.get(10).contains(" bare forward of 64 "), result.out());
    assertEquals(11, who.size(), result.out());
  }

  @Test
  void startUpIsThatOfWholeProcesses() {
    Result result = InThisJvm.run("benchmark start-up --threads=1 --rounds=1".split(" "));
    assertEquals(0, result.status(), result.err());
    List<String> who = result.out().lines().filter(line -> line.startsWith("start-up ")).toList();
    assertTrue(who.get(0).matches("start-up +1 +1 float32 +actclip, info .*"), result.out());
    assertTrue(who.get(1).contains(" actclip, first image "), result.out());
    assertTrue(who.stream().anyMatch(line -> line.contains(" untuned JavaCPP ")), result.out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"startup", "everything"})
  void whatIsNoPartIsRefused(String part) {
    Result result = InThisJvm.run("benchmark", part);
    assertEquals(2, result.status());
    assertTrue(result.err().contains(part), result.err());
    assertEquals(1, result.err().lines().count());
  }

  @Test
  void aPlotOfNothingOrNowhereIsRefused() {
    assertRefused("clip", folder.resolve("x.png"), "draws what scaling measures");
    assertRefused("scaling", folder.resolve("none").resolve("x.png"), "cannot be written");
    assertRefused("scaling", folder, "cannot be written");
  }

  private static void assertRefused(String part, Path plot, String reason) {
    Result result = InThisJvm.run("benchmark", part, "--plot=" + plot);
    assertEquals(2, result.status());
    assertTrue(result.err().contains("--plot (" + plot + ") " + reason), result.err());
    assertEquals(1, result.err().lines().count());
  }

  @Test
  void threadsThatCannotBeAreRefusedBeforeItMeasures() {
    Result result = InThisJvm.run("benchmark", "scaling", "--threads=1,0");
    assertEquals(2, result.status());
    assertTrue(result.err().contains("threads (0) must be 1 to"), result.err());
    assertEquals("", result.out());
  }

  /** Python's PyTorch is there, too, on some machines. */
  private static void assertWho(List<JsonNode> measurements, List<String> wanted) {
    List<String> who = measurements.stream().map(one -> one.get("who").asText()).toList();
    assertTrue(who.containsAll(wanted), who + "");
    assertEquals("actclip", who.get(0));
  }

  private static void assertCompared(JsonNode one, JsonNode ours) {
    double least = one.get("millis").get("from").asDouble();
    double most = one.get("millis").get("to").asDouble();
    double median = one.get("millis").get("median").asDouble();
    assertTrue(0 < least && least <= median && median <= most, one + "");
    double times = one.get("times").get("median").asDouble();
    assertTrue(times >= least / ours.get("millis").get("to").asDouble(), one + "");
    assertTrue(times <= most / ours.get("millis").get("from").asDouble(), one + "");
  }
}
