package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.UnknownFieldSet;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bytes are those of PyTorch's SummaryWriter; see make_tensorboard_fixture.py. */
class EventFileTest {

  private static final Clock CLOCK =
      Clock.fixed(Instant.ofEpochMilli(1_700_000_000_500L), ZoneOffset.UTC);

  @TempDir Path folder;

  @Test
  void theSameEventsAreTheSameBytesAsPyTorchs() throws IOException {
    Path path = folder.resolve("events");
    try (EventFile file = new EventFile(path, 151, CLOCK)) {
      file.addScalar("loss/step", 0.375, 151);
      file.addScalar("threshold/größe 🙂", -1e30, 160);
      file.addScalar("zero", 0, 1L << 40);
      file.addHistogram("spread", Histogram.of(new double[] {1, 1, 1.5, 2, 7, 30, 30.5, 31}), 170);
      double[] limits = {0.5, 1, 1.5, 2};
      double[] counts = {0, 4, 1, 2};
      file.addHistogram("activations", new Histogram(0.5, 2, 7, 8.5, 11.25, limits, counts), 180);
    }
    byte[] expected;
    try (InputStream in = EventFileTest.class.getResourceAsStream("/fixtures/torch.tfevents")) {
      expected = in.readAllBytes();
    }
    // Theirs begins with one more record: who wrote it.
    byte[] first = EventRecords.parse(expected).get(0).toByteArray();
    int skipped = first.length + EventRecords.FRAME_BYTES;
    assertArrayEquals(
        Arrays.copyOfRange(expected, skipped, expected.length), Files.readAllBytes(path));
  }

  @Test
  void theFileOfATrainingThatEndsSuddenlyIsWholeUpToItsLastRecord() throws IOException {
    Path path = folder.resolve("events");
    EventFile file = new EventFile(path, 1, CLOCK);
    file.addScalar("a", 1, 2);
    List<UnknownFieldSet> events = EventRecords.parse(Files.readAllBytes(path)); // not closed
    assertEquals(3, events.size());
    assertEquals(2, EventRecords.step(events.get(2)));
    file.close();
  }
}
