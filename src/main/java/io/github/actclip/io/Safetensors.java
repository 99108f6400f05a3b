package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Named tensors in a file of the <a
 * href="https://github.com/huggingface/safetensors">safetensors</a> format, which holds no code and
 * which Python reads with {@code safetensors.torch.load_file}.
 *
 * <p>The dtypes are float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8 and bool;
 * values keep every bit. A file that breaks the format is refused before any of its tensors is
 * made. All methods may be called from any thread.
 */
public final class Safetensors {

  // Small enough for a ByteBuffer's int, large enough that its cost does not show.
  private static final int CHUNK_BYTES = 1 << 24;

  private Safetensors() {}

  /**
   * Writes tensors to a file, or leaves the file as it was.
   *
   * @param tensors of any shape, strides and device; they stay the caller's, and what is copied on
   *     the way to the file is freed, one tensor at a time
   * @param metadata texts for the reader of the file; may be empty
   * @throws ActclipException bad input for a dtype or layout that the format lacks; a failure when
   *     the file cannot be written
   */
  public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
    List<TensorInfo> described = new ArrayList<>();
    tensors.forEach((name, tensor) -> described.add(TensorInfo.of(name, tensor)));
    SafetensorsHeaderWriter header = new SafetensorsHeaderWriter(described);
    byte[] head = header.toBytes(metadata);
    AtomicFile.write(
        file,
        out -> {
          out.write(head);
          WritableByteChannel channel = Channels.newChannel(out);
          for (TensorInfo tensor : header.dataOrder()) {
            writeData(channel, tensor.name(), tensors.get(tensor.name()));
          }
        });
  }

  /**
   * Reads all tensors of a file.
   *
   * @return contiguous tensors on the CPU, in the order of the file's header; the caller, or the
   *     caller's open {@link io.github.actclip.runtime.TensorScope}, owns them
   * @throws ActclipException bad input when the file is missing or breaks the format; a failure
   *     when it cannot be read or does not fit in memory; either way no tensor is left behind
   */
  public static Map<String, Tensor> read(Path file) {
    LibTorch.load();
    return open(file, Safetensors::readTensors);
  }

  /**
   * Reads the texts that were stored beside the tensors.
   *
   * @return empty when there are none
   * @throws ActclipException as {@link #read} does
   */
  public static Map<String, String> readMetadata(Path file) {
    return open(file, (channel, header) -> header.metadata());
  }

  private interface Content<T> {
    T read(FileChannel channel, SafetensorsHeader header) throws IOException;
  }

  private static <T> T open(Path file, Content<T> content) {
    if (!Files.isRegularFile(file)) {
      throw ActclipException.badInput(
          "%s is not a file; give the path of a safetensors file", file);
    }
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return content.read(channel, SafetensorsHeaderReader.read(file, channel));
    } catch (IOException e) {
      throw ActclipException.failure(e, "%s cannot be read: %s", file, AtomicFile.reason(e));
    } catch (OutOfMemoryError e) {
      // From the JVM, for a huge header; or from JavaCPP, which limits native memory by the heap's.
      throw ActclipException.failure(
          e,
          "%s does not fit in the memory of this JVM, see its option -Xmx: %s",
          file,
          e.getMessage());
    }
  }

  private static Map<String, Tensor> readTensors(FileChannel channel, SafetensorsHeader header)
      throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    boolean complete = false;
    try {
      for (TensorInfo info : header.tensors()) {
        Tensor tensor = empty(info);
        tensors.put(info.name(), tensor);
        readData(channel, header.dataStart() + info.begin(), tensor);
      }
      complete = true;
      return tensors;
    } finally {
      if (!complete) {
        tensors.values().forEach(Tensor::close);
      }
    }
  }

  private static Tensor empty(TensorInfo info) {
    try (var options = new TensorOptions(info.dtype().scalarType())) {
      return torch.empty(info.shape(), options, null);
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e,
          "There is no memory for the %d bytes of tensor %s",
          info.byteCount(),
          TensorInfo.quoted(info.name()));
    }
  }

  private static void readData(FileChannel channel, long at, Tensor tensor) throws IOException {
    long position = at;
    for (ByteBuffer chunk : chunks(tensor)) {
      position += readFully(channel, chunk, position);
    }
  }

  static int readFully(FileChannel channel, ByteBuffer into, long at) throws IOException {
    int bytes = into.remaining();
    while (into.hasRemaining()) {
      if (channel.read(into, at + bytes - into.remaining()) < 0) {
        throw new EOFException("it became shorter while it was being read");
      }
    }
    return bytes;
  }

  private static void writeData(WritableByteChannel channel, String name, Tensor tensor)
      throws IOException {
    try (Tensor detached = tensor.detach();
        Tensor onCpu = detached.cpu();
        Tensor resolved = onCpu.resolve_neg();
        Tensor contiguous = resolved.contiguous()) {
      for (ByteBuffer chunk : chunks(contiguous)) {
        channel.write(chunk);
      }
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e,
          "Tensor %s cannot be copied to the CPU: %s",
          TensorInfo.quoted(name),
          ActclipException.firstLine(e));
    }
  }

  /**
   * The bytes of a contiguous CPU tensor, valid until it is freed. LibTorch runs on little-endian
   * machines only, so they are in the file's order.
   */
  static List<ByteBuffer> chunks(Tensor contiguous) {
    List<ByteBuffer> chunks = new ArrayList<>();
    // flatten() would keep the stride of a single element, whatever it is, and view() refuses it.
    try (Tensor flat = contiguous.as_strided(new long[] {contiguous.numel()}, new long[] {1});
        Tensor bytes = flat.view(ScalarType.Byte)) {
      long size = bytes.numel();
      for (long at = 0; at < size; at += CHUNK_BYTES) {
        try (Tensor part = bytes.narrow(0, at, Math.min(CHUNK_BYTES, size - at))) {
          chunks.add(part.createBuffer());
        }
      }
    }
    return chunks;
  }
}
