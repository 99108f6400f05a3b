package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The memory of tensors as bytes, to read files into and to write them from, with no copy of a
 * whole tensor on the heap. LibTorch runs on little-endian machines only, so they are in the files'
 * order.
 *
 * <p>Files are streams here: a channel, which could do without the buffer, is closed by an
 * interrupt of its thread, and the file fails for it.
 */
final class TensorBytes {

  // Small enough for a ByteBuffer's int, large enough that its cost does not show.
  private static final int CHUNK_BYTES = 1 << 24;

  private static final int BUFFER_BYTES = 1 << 16;

  private TensorBytes() {}

  /** Takes the bytes of one tensor, in order. */
  interface Consumer {
    void accept(List<ByteBuffer> chunks) throws IOException;
  }

  /**
   * Makes a contiguous CPU tensor whose values are to be read.
   *
   * @param what is to be read, such as "tensor 'a'"
   */
  static Tensor allocate(String what, Dtype dtype, long... shape) {
    try (var options = new TensorOptions(dtype.scalarType())) {
      return torch.empty(shape, options, null);
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e, "There is no memory for the %d bytes of %s", TensorInfo.byteCount(dtype, shape), what);
    }
  }

  /** The bytes of a contiguous CPU tensor, valid until it is freed. */
  static List<ByteBuffer> of(Tensor contiguous) {
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

  /**
   * Fills the chunks.
   *
   * @throws EOFException when the stream ends before
   */
  static void read(InputStream in, List<ByteBuffer> chunks) throws IOException {
    byte[] buffer = new byte[BUFFER_BYTES];
    for (ByteBuffer chunk : chunks) {
      while (chunk.hasRemaining()) {
        int bytes = in.read(buffer, 0, Math.min(buffer.length, chunk.remaining()));
        if (bytes < 0) {
          throw new EOFException("it became shorter while it was being read");
        }
        chunk.put(buffer, 0, bytes);
      }
    }
  }

  /** Writes what remains of the chunks. */
  static void write(List<ByteBuffer> chunks, OutputStream out) throws IOException {
    byte[] buffer = new byte[BUFFER_BYTES];
    for (ByteBuffer chunk : chunks) {
      while (chunk.hasRemaining()) {
        int bytes = Math.min(buffer.length, chunk.remaining());
        chunk.get(buffer, 0, bytes);
        out.write(buffer, 0, bytes);
      }
    }
  }

  /**
   * Hands out the values of any dense tensor, wherever it is, as the bytes of a contiguous one;
   * what has to be copied for that is freed.
   */
  static void withBytes(String name, Tensor tensor, Consumer consumer) throws IOException {
    try (Tensor detached = tensor.detach();
        Tensor onCpu = detached.cpu();
        Tensor resolved = onCpu.resolve_neg();
        Tensor contiguous = resolved.contiguous()) {
      consumer.accept(of(contiguous));
    } catch (RuntimeException e) {
      throw ActclipException.failure(
          e,
          "Tensor %s cannot be copied to the CPU: %s",
          TensorInfo.quoted(name),
          ActclipException.firstLine(e));
    }
  }
}
