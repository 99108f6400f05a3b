package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * Named tensors in a file of the <a
 * href="https://github.com/huggingface/safetensors">safetensors</a> format, which holds no code and
 * which Python reads with {@code safetensors.torch.load_file}.
 *
 * <p>The dtypes are float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8 and bool;
 * values keep every bit. A file that breaks the format is refused before any of its tensors is
 * made. All methods may be called from any thread.
 *
 * <p>Data is read into the memory of the tensors, not copied out of a mapping of the file: on JDK
 * 17 that took 4 to 5 times as long, a file that is cut short meanwhile (or a disk that fails) came
 * to light only as an {@code InternalError} at some later instruction, and a mapping lasts until
 * the garbage collector finds it. A tensor on top of the mapping would be worse: such a file then
 * kills the JVM.
 */
public final class Safetensors {

  private Safetensors() {}

  /**
   * Writes tensors to a file, or leaves the file as it was.
   *
   * @param tensors of any shape, strides and device; they stay the caller's, and what is copied on
   *     the way to the file is freed, one tensor at a time
   * @param metadata texts for the reader of the file; may be empty. The {@link
   *     io.github.actclip.runtime.TensorMeaning} of each tensor that has one is added.
   * @throws ActclipException bad input for a dtype or layout that the format lacks; a failure when
   *     the file cannot be written
   */
  public static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
    List<TensorInfo> described = new ArrayList<>();
    tensors.forEach((name, tensor) -> described.add(TensorInfo.of(name, tensor)));
    SafetensorsHeaderWriter header = new SafetensorsHeaderWriter(described);
    byte[] head = header.toBytes(Meanings.with(metadata, tensors));
    AtomicFile.write(
        file,
        out -> {
          out.write(head);
          for (TensorInfo tensor : header.dataOrder()) {
            TensorBytes.withBytes(
                tensor.name(), tensors.get(tensor.name()), bytes -> TensorBytes.write(bytes, out));
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
    return readAll(file).tensors();
  }

  /** What a file holds. */
  record Content(Map<String, Tensor> tensors, Map<String, String> metadata) {}

  /** Reads tensors and texts at once, as {@link #read} does. */
  static Content readAll(Path file) {
    LibTorch.load();
    Content content =
        open(
            file,
            (in, header) ->
                new Content(
                    InputFile.allOrNone(tensors -> readTensors(in, header, tensors)),
                    header.metadata()));
    Meanings.give(content.tensors(), content.metadata());
    return content;
  }

  /**
   * Reads the texts that were stored beside the tensors.
   *
   * @return empty when there are none
   * @throws ActclipException as {@link #read} does
   */
  public static Map<String, String> readMetadata(Path file) {
    return open(file, (in, header) -> header.metadata());
  }

  private interface Reader<T> {
    T read(InputStream in, SafetensorsHeader header) throws IOException;
  }

  private static <T> T open(Path file, Reader<T> reader) {
    return InputFile.read(
        file,
        "a safetensors file",
        () -> {
          try (InputStream in = Files.newInputStream(file)) {
            return reader.read(in, SafetensorsHeaderReader.read(file, in));
          }
        });
  }

  private static void readTensors(
      InputStream in, SafetensorsHeader header, Map<String, Tensor> tensors) throws IOException {
    for (TensorInfo info : header.tensors()) {
      String what = "tensor " + TensorInfo.quoted(info.name());
      tensors.put(info.name(), TensorBytes.allocate(what, info.dtype(), info.shape()));
    }
    for (TensorInfo info : header.dataOrder()) {
      TensorBytes.read(in, TensorBytes.of(tensors.get(info.name())));
    }
  }
}
