package io.github.actclip.report;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnknownFieldSet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A record of an {@link EventFile}.
 *
 * @param step of the training
 * @param tag of the number or the histogram; empty where it is none
 * @param bytes the whole record, as the file has it
 */
record EventRecord(long step, String tag, byte[] bytes) {

  /** The records of a file, up to the first that is torn or damaged. */
  static List<EventRecord> parse(byte[] file) {
    List<EventRecord> records = new ArrayList<>();
    ByteBuffer in = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    try {
      while (in.remaining() >= EventFile.FRAME_BYTES) {
        int start = in.position();
        byte[] length = new byte[Long.BYTES];
        in.get(length);
        long size = in.getLong(start);
        boolean isWhole = in.getInt() == EventFile.checksum(length, Long.BYTES);
        if (!isWhole || size < 0 || size > in.remaining() - Integer.BYTES) {
          break;
        }
        byte[] data = new byte[(int) size];
        in.get(data);
        if (in.getInt() != EventFile.checksum(data, data.length)) {
          break;
        }
        byte[] bytes = new byte[EventFile.FRAME_BYTES + data.length];
        in.get(start, bytes);
        records.add(of(UnknownFieldSet.parseFrom(data), bytes));
      }
    } catch (InvalidProtocolBufferException e) {
      return records; // Up to what no EventFile writes.
    }
    return records;
  }

  private static EventRecord of(UnknownFieldSet event, byte[] bytes)
      throws InvalidProtocolBufferException {
    List<Long> step = event.getField(EventFile.STEP).getVarintList();
    List<ByteString> text = List.of();
    for (ByteString summary : event.getField(EventFile.SUMMARY).getLengthDelimitedList()) {
      for (ByteString value : field(summary, EventFile.VALUE)) {
        text = field(value, EventFile.TAG);
      }
    }
    return new EventRecord(
        step.isEmpty() ? 0 : step.get(0), text.isEmpty() ? "" : text.get(0).toStringUtf8(), bytes);
  }

  private static List<ByteString> field(ByteString message, int number)
      throws InvalidProtocolBufferException {
    return UnknownFieldSet.parseFrom(message).getField(number).getLengthDelimitedList();
  }
}
