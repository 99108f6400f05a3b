package io.github.actclip.infer;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.testing.ForkedJvm;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** In CI a short run; in earnest with {@code -Dactclip.soak.predictions=10000000}. */
@EnabledOnOs(OS.LINUX)
class PredictorMemoryTest {

  private static final int PREDICTIONS = Integer.getInteger("actclip.soak.predictions", 40_000);

  /** So many a second on a slow machine. */
  private static final int LEAST_SPEED = 1_000;

  @TempDir Path folder;

  /** A tensor of ten numbers that each leaves behind would be 15 MiB; the old weights, 14 MiB. */
  @Test
  void memoryIsFlat() throws Exception {
    String output =
        ForkedJvm.start(
                PredictorMemoryProbe.class,
                List.of(),
                Map.of(),
                ForkedJvm.FIXED_HEAP,
                100 + PREDICTIONS / LEAST_SPEED,
                folder.toString(),
                String.valueOf(PREDICTIONS))
            .awaitOutput();
    String last = output.lines().reduce((first, second) -> second).orElse("");
    assertTrue(last.matches("-?\\d+ -?\\d+"), output);
    String[] grown = last.split(" ");
    assertTrue(Long.parseLong(grown[0]) < 2048, output);
    assertTrue(Long.parseLong(grown[1]) < 6144, output);
  }
}
