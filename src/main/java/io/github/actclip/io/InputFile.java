package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** Reads a file, or says in one sentence why it cannot be read. */
final class InputFile {

  private InputFile() {}

  /** Opens the file, reads it and closes it. */
  interface Content<T> {
    T read() throws IOException;
  }

  /** Makes one tensor after the other and puts them into the map. */
  interface Tensors {
    void readInto(Map<String, Tensor> tensors) throws IOException;
  }

  /**
   * Returns what {@code content} reads.
   *
   * @param kind what the file should be, such as "a safetensors file"
   */
  static <T> T read(Path file, String kind, Content<T> content) {
    if (!Files.isRegularFile(file)) {
      throw ActclipException.badInput("%s is not a file; give the path of %s", file, kind);
    }
    try {
      return content.read();
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

  /** Returns all tensors, or closes those that were made before one failed. */
  static Map<String, Tensor> allOrNone(Tensors content) throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    boolean complete = false;
    try {
      content.readInto(tensors);
      complete = true;
      return tensors;
    } finally {
      if (!complete) {
        tensors.values().forEach(Tensor::close);
      }
    }
  }
}
