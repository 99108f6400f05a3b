package io.github.actclip.data;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.testing.ForkedJvm;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class LoaderMemoryTest {

  /** The batches of 50 rounds are 1.5 GB; an arena of malloc for each thread would be 150 MiB. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void memoryIsFlat() throws Exception {
    String output =
        ForkedJvm.start(LoaderMemoryProbe.class, List.of(), Map.of(), ForkedJvm.FIXED_HEAP)
            .awaitOutput();
    String last = output.lines().reduce((first, second) -> second).orElse("");
    assertTrue(last.startsWith("180000 samples, grew by "), output);
    long grown = Long.parseLong(last.substring(last.lastIndexOf(' ') + 1));
    assertTrue(grown < 24, output);
  }
}
