package io.github.actclip.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.testing.ForkedJvm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * Trainings one after the other leave no memory, no file handle and no file behind. In CI for some
 * seconds, in which memory has not settled; with {@code -Dactclip.soak.seconds=1800} in earnest.
 */
@EnabledOnOs(OS.LINUX)
class SoakTest {

  private static final int SHORT_SECONDS = 10;
  private static final int SECONDS = Integer.getInteger("actclip.soak.seconds", SHORT_SECONDS);

  private static final double FLAT = SECONDS > SHORT_SECONDS ? 1.02 : 1.15;

  @TempDir Path folder;

  @Test
  void nothingIsLeftBehind() throws Exception {
    String output =
        ForkedJvm.start(
                Soak.class,
                List.of(),
                Map.of(),
                ForkedJvm.FIXED_HEAP,
                SECONDS + 100L,
                folder.toString(),
                String.valueOf(SECONDS))
            .awaitOutput();
    List<long[]> rounds =
        output
            .lines()
            .filter(line -> line.startsWith("round "))
            .map(line -> Stream.of(line.split(" ")).skip(1).mapToLong(Long::parseLong).toArray())
            .toList();
    int count = rounds.size();
    assertTrue(count >= 8, output);
    double early = median(rounds.subList(count / 4, count / 2));
    double late = median(rounds.subList(3 * count / 4, count));
    String grew =
        String.format(Locale.ROOT, "from %.0f to %.0f KiB in %d rounds", early, late, count);
    assertTrue(late < FLAT * early, grew);
    assertEquals(rounds.get(1)[1], rounds.get(count - 1)[1], "file descriptors");
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.toList());
    }
  }

  private static double median(List<long[]> rounds) {
    long[] sorted = rounds.stream().mapToLong(round -> round[0]).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
