package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnknownFieldSet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/** Reads event files with protobuf's own parser, by the numbers of the fields. */
public final class EventRecords {

  public static final int FRAME_BYTES = 16;

  private EventRecords() {}

  /** Every record of a file, whose checksums must be right. */
  public static List<UnknownFieldSet> parse(byte[] file) {
    List<UnknownFieldSet> events = new ArrayList<>();
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      byte[] length = new byte[8];
      in.get(length);
      assertEquals(masked(length), in.getInt());
      byte[] data = new byte[(int) in.getLong(in.position() - 12)];
      in.get(data);
      assertEquals(masked(data), in.getInt());
      events.add(message(data));
    }
    return events;
  }

  private static int masked(byte[] data) {
    CRC32C crc = new CRC32C();
    crc.update(data);
    long value = crc.getValue();
    return (int) (((value >>> 15) | (value << 17)) + 0xa282ead8L);
  }

  public static long step(UnknownFieldSet event) {
    return event.getField(2).getVarintList().get(0);
  }

  /** The scalars with that tag, by their steps. */
  public static Map<Long, Float> scalars(List<UnknownFieldSet> events, String tag) {
    Map<Long, Float> scalars = new LinkedHashMap<>();
    for (UnknownFieldSet event : events) {
      UnknownFieldSet value = value(event);
      if (tag.equals(tag(value)) && value.hasField(2)) {
        scalars.put(step(event), Float.intBitsToFloat(value.getField(2).getFixed32List().get(0)));
      }
    }
    return scalars;
  }

  /** The histograms with that tag, by their steps: each the counts of its bins. */
  public static Map<Long, double[]> counts(List<UnknownFieldSet> events, String tag) {
    Map<Long, double[]> histograms = new LinkedHashMap<>();
    for (UnknownFieldSet event : events) {
      UnknownFieldSet value = value(event);
      if (tag.equals(tag(value)) && value.hasField(5)) {
        ByteBuffer packed =
            part(value, 5).getField(7).getLengthDelimitedList().get(0).asReadOnlyByteBuffer();
        double[] counts = new double[packed.remaining() / Double.BYTES];
        packed.order(ByteOrder.LITTLE_ENDIAN).asDoubleBuffer().get(counts);
        histograms.put(step(event), counts);
      }
    }
    return histograms;
  }

  /** Summary.Value, empty in an event without one. */
  private static UnknownFieldSet value(UnknownFieldSet event) {
    return event.hasField(5) ? part(part(event, 5), 1) : UnknownFieldSet.getDefaultInstance();
  }

  private static String tag(UnknownFieldSet value) {
    return value.hasField(1)
        ? value.getField(1).getLengthDelimitedList().get(0).toStringUtf8()
        : "";
  }

  public static UnknownFieldSet part(UnknownFieldSet message, int field) {
    return message(message.getField(field).getLengthDelimitedList().get(0).toByteArray());
  }

  private static UnknownFieldSet message(byte[] data) {
    try {
      return UnknownFieldSet.parseFrom(data);
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
  }
}
