package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Internal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Tensor;

/**
 * A safetensors file that carries the checksum of its own content, so that a damaged one is
 * noticed: the SHA-256 of all texts and tensors, in the text {@value #CHECKSUM}.
 *
 * @param tensors as {@link Safetensors#read} gives them
 * @param metadata the texts, without the checksum
 */
@Internal
public record SealedTensors(Map<String, Tensor> tensors, Map<String, String> metadata) {

  private static final String CHECKSUM = "sha256";

  /**
   * Writes a file, or leaves it as it was.
   *
   * @throws ActclipException as {@link Safetensors#write} does
   */
  public void write(Path file) {
    if (metadata.containsKey(CHECKSUM)) {
      throw ActclipException.badInput(
          "a text of %s cannot be called %s: that is its checksum", file, CHECKSUM);
    }
    Map<String, String> texts = Meanings.with(metadata, tensors);
    texts.put(CHECKSUM, new SealedTensors(tensors, texts).checksum());
    Safetensors.write(file, tensors, texts);
  }

  /**
   * Reads a file.
   *
   * @return its content; the caller, or the caller's open {@link
   *     io.github.actclip.runtime.TensorScope}, owns the tensors
   * @throws ActclipException bad input when the file was damaged, or breaks the format; a failure
   *     when it cannot be read
   */
  public static SealedTensors read(Path file) {
    Safetensors.Content content = Safetensors.readAll(file);
    Map<String, String> texts = new HashMap<>(content.metadata());
    String expected = texts.remove(CHECKSUM);
    SealedTensors read = new SealedTensors(content.tensors(), texts);
    String actual = read.checksum();
    if (expected == null) {
      read.tensors.values().forEach(Tensor::close);
      throw ActclipException.badInput(
          "%s has no checksum, and so is neither a checkpoint nor a snapshot", file);
    }
    if (!actual.equals(expected)) {
      read.tensors.values().forEach(Tensor::close);
      throw ActclipException.badInput(
          "%s is damaged: its checksum is %s, and it should be %s", file, actual, expected);
    }
    return read;
  }

  private String checksum() {
    MessageDigest digest = sha256();
    new TreeMap<>(metadata)
        .forEach(
            (name, text) -> {
              update(digest, name);
              update(digest, text);
            });
    new TreeMap<>(tensors)
        .forEach((name, tensor) -> update(digest, TensorInfo.of(name, tensor), tensor));
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void update(MessageDigest digest, TensorInfo info, Tensor tensor) {
    update(digest, info.name());
    update(digest, info.dtype().name());
    for (long size : info.shape()) {
      update(digest, Long.toString(size));
    }
    try {
      TensorBytes.withBytes(info.name(), tensor, chunks -> chunks.forEach(digest::update));
    } catch (IOException e) {
      throw new IllegalStateException("a digest does no input or output", e);
    }
  }

  /** With a mark after it, so that no two lists of texts give the same bytes. */
  private static void update(MessageDigest digest, String text) {
    digest.update(text.getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0xff); // in no UTF-8
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
