package io.github.actclip.report;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import io.github.actclip.runtime.ActclipException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Clock;
import java.util.zip.CRC32C;

/**
 * An event file of TensorBoard: records of TensorFlow ({@code tensorflow/core/lib/io/
 * record_writer.h}), each an {@code Event} ({@code tensorboard/compat/proto/event.proto}, {@code
 * summary.proto}, {@code histogram.proto}).
 */
final class EventFile implements AutoCloseable {

  private static final String VERSION = "brain.Event:2";
  private static final double MILLIS_PER_SECOND = 1e3;
  static final int FRAME_BYTES = Long.BYTES + 2 * Integer.BYTES;

  // What is added to a checksum, so that one of data that holds checksums is none of them.
  private static final int MASK = 0xa282ead8;
  private static final int MASK_ROTATION = 17;

  // Fields of Event.
  private static final int WALL_TIME = 1;
  static final int STEP = 2;
  private static final int FILE_VERSION = 3;
  static final int SUMMARY = 5;
  private static final int SESSION_LOG = 7;
  // Of SessionLog, and its value for a start.
  private static final int STATUS = 1;
  private static final int START = 1;
  // Of Summary and Summary.Value.
  static final int VALUE = 1;
  static final int TAG = 1;
  private static final int SIMPLE_VALUE = 2;
  private static final int HISTO = 5;
  // Of HistogramProto.
  private static final int MIN = 1;
  private static final int MAX = 2;
  private static final int NUM = 3;
  private static final int SUM = 4;
  private static final int SUM_SQUARES = 5;
  private static final int BUCKET_LIMIT = 6;
  private static final int BUCKET = 7;

  private final RecordFile file;
  private final Clock clock;

  /** Writes the fields of a message. */
  @FunctionalInterface
  private interface Fields {
    void writeTo(CodedOutputStream out) throws IOException;
  }

  /**
   * Opens a file.
   *
   * @param firstStep what other files beside this one have of it and of later steps is void, as
   *     with {@code SummaryWriter(purge_step=...)}
   * @throws ActclipException a failure when it cannot be opened
   */
  EventFile(Path path, long firstStep, Clock clock) {
    file = new RecordFile(path);
    this.clock = clock;
    add(firstStep, event -> event.writeString(FILE_VERSION, VERSION));
    byte[] start = message(log -> log.writeEnum(STATUS, START));
    add(firstStep, event -> event.writeByteArray(SESSION_LOG, start));
  }

  /** Adds a number; TensorBoard knows it as a float. */
  void addScalar(String tag, double scalar, long step) {
    addValue(tag, step, value -> value.writeFloat(SIMPLE_VALUE, (float) scalar));
  }

  void addHistogram(String tag, Histogram histogram, long step) {
    byte[] message =
        message(
            histo -> {
              histo.writeDouble(MIN, histogram.min());
              histo.writeDouble(MAX, histogram.max());
              histo.writeDouble(NUM, histogram.count());
              histo.writeDouble(SUM, histogram.sum());
              histo.writeDouble(SUM_SQUARES, histogram.sumOfSquares());
              writePacked(histo, BUCKET_LIMIT, histogram.limits());
              writePacked(histo, BUCKET, histogram.counts());
            });
    addValue(tag, step, value -> value.writeByteArray(HISTO, message));
  }

  private void addValue(String tag, long step, Fields content) {
    byte[] value =
        message(
            out -> {
              out.writeString(TAG, tag);
              content.writeTo(out);
            });
    byte[] summary = message(out -> out.writeByteArray(VALUE, value));
    add(step, event -> event.writeByteArray(SUMMARY, summary));
  }

  private void add(long step, Fields content) {
    byte[] event =
        message(
            out -> {
              out.writeDouble(WALL_TIME, clock.millis() / MILLIS_PER_SECOND);
              out.writeInt64(STEP, step);
              content.writeTo(out);
            });
    file.add(record(event));
  }

  private static void writePacked(CodedOutputStream out, int field, double[] values)
      throws IOException {
    out.writeTag(field, WireFormat.WIRETYPE_LENGTH_DELIMITED);
    out.writeUInt32NoTag(values.length * Double.BYTES);
    for (double value : values) {
      out.writeDoubleNoTag(value);
    }
  }

  private static byte[] message(Fields fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    try {
      fields.writeTo(out);
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException("memory cannot fail to be written", e);
    }
    return bytes.toByteArray();
  }

  /** The length, its checksum, the data, its checksum. */
  private static byte[] record(byte[] data) {
    ByteBuffer record =
        ByteBuffer.allocate(FRAME_BYTES + data.length).order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(checksum(record.array(), Long.BYTES));
    record.put(data);
    record.putInt(checksum(data, data.length));
    return record.array();
  }

  /** As the format has it, of the first bytes. */
  static int checksum(byte[] data, int length) {
    CRC32C crc = new CRC32C();
    crc.update(data, 0, length);
    return Integer.rotateLeft((int) crc.getValue(), MASK_ROTATION) + MASK;
  }

  @Override
  public void close() {
    file.close();
  }
}
