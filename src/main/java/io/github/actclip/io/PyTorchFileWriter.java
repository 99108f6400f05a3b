package io.github.actclip.io;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.bytedeco.pytorch.Tensor;

/**
 * Writes a state dict as Python's {@code torch.save} would write the plain dict. The same tensors
 * give the same bytes.
 */
final class PyTorchFileWriter {

  private static final String ROOT = "archive/";
  private static final String VERSION = "3\n";

  /** Python maps files; it wants data at multiples of this. */
  private static final int ALIGNMENT = 64;

  private static final int LOCAL_HEADER_BYTES = 30;
  private static final long ZIP64_FROM_BYTES = 0xFFFFFFFFL;
  private static final int ZIP64_EXTRA_BYTES = 20;

  // The extra field with which PyTorch pads, too: a name of two letters and a length of two bytes.
  private static final short PADDING_ID = 'F' | 'B' << 8;
  private static final int PADDING_HEADER_BYTES = 4;

  // The first hours that the format knows are Java's mark for times before, kept in another field.
  private static final LocalDateTime TIME = LocalDateTime.of(1980, 2, 1, 0, 0);

  private final ZipOutputStream zip;
  private long position;

  private PyTorchFileWriter(OutputStream out) {
    zip = new ZipOutputStream(out);
    zip.setMethod(ZipOutputStream.STORED);
  }

  /** Writes tensors to a file, as {@link StateDict#write} says. */
  static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
    List<TensorInfo> described = new ArrayList<>();
    tensors.forEach((name, tensor) -> described.add(TensorInfo.of(name, tensor)));
    byte[] pickle = new StateDictPickler().toBytes(described);
    byte[] texts = PyTorchTexts.toBytes(Meanings.with(metadata, tensors));
    AtomicFile.write(file, out -> new PyTorchFileWriter(out).write(pickle, tensors, texts));
  }

  private void write(byte[] pickle, Map<String, Tensor> tensors, byte[] texts) throws IOException {
    writeEntry(PyTorchFile.PICKLE, pickle);
    writeEntry(PyTorchFile.BYTE_ORDER, PyTorchFile.LITTLE_ENDIAN);
    int index = 0;
    for (var tensor : tensors.entrySet()) {
      String name = PyTorchFile.STORAGES + index++;
      TensorBytes.withBytes(tensor.getKey(), tensor.getValue(), bytes -> writeEntry(name, bytes));
    }
    if (texts.length > 0) {
      writeEntry(PyTorchTexts.ENTRY, texts);
    }
    writeEntry("version", VERSION);
    zip.finish();
  }

  private void writeEntry(String name, String text) throws IOException {
    writeEntry(name, text.getBytes(StandardCharsets.US_ASCII));
  }

  private void writeEntry(String name, byte[] bytes) throws IOException {
    writeEntry(name, List.of(ByteBuffer.wrap(bytes)));
  }

  private void writeEntry(String name, List<ByteBuffer> chunks) throws IOException {
    CRC32 crc = new CRC32();
    long size = 0;
    for (ByteBuffer chunk : chunks) {
      size += chunk.remaining();
      crc.update(chunk.duplicate());
    }
    ZipEntry entry = new ZipEntry(ROOT + name);
    entry.setTimeLocal(TIME);
    entry.setSize(size);
    entry.setCrc(crc.getValue());
    entry.setExtra(padding(entry));
    zip.putNextEntry(entry);
    TensorBytes.write(chunks, zip);
    zip.closeEntry();
    position += size;
  }

  /** What has to stand before the data of the next entry, and moves {@link #position} there. */
  private byte[] padding(ZipEntry entry) {
    position += LOCAL_HEADER_BYTES + entry.getName().length() + PADDING_HEADER_BYTES;
    if (entry.getSize() >= ZIP64_FROM_BYTES) {
      position += ZIP64_EXTRA_BYTES;
    }
    int bytes = (int) (-position & ALIGNMENT - 1);
    position += bytes;
    return ByteBuffer.allocate(PADDING_HEADER_BYTES + bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(PADDING_ID)
        .putShort((short) bytes)
        .array();
  }
}
