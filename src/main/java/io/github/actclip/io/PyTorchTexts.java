package io.github.actclip.io;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Texts beside the tensors of a PyTorch file: one JSON object in an entry of the archive that
 * {@code torch.load} does not look at. TorchScript's files have their extra ones in that folder.
 */
final class PyTorchTexts {

  static final String ENTRY = "extra/actclip.json";

  private static final TypeReference<Map<String, String>> TEXTS = new TypeReference<>() {};

  private PyTorchTexts() {}

  /** Empty where there are none. */
  static byte[] toBytes(Map<String, String> texts) {
    try {
      return texts.isEmpty() ? new byte[0] : SafetensorsHeader.JSON.writeValueAsBytes(texts);
    } catch (JsonProcessingException e) {
      throw ActclipException.badInput(
          "The texts for the file are no valid Unicode: %s", e.getOriginalMessage());
    }
  }

  /**
   * Reads what {@link #toBytes} made.
   *
   * @param file names the file in messages
   * @throws ActclipException bad input, when it is anything else
   */
  static Map<String, String> read(Path file, byte[] bytes) throws IOException {
    Map<String, String> texts;
    try {
      texts = SafetensorsHeader.JSON.readValue(bytes, TEXTS);
    } catch (JsonProcessingException e) {
      throw PyTorchFile.invalid(file, "its %s is no JSON object of texts", ENTRY);
    }
    if (texts == null || texts.containsValue(null)) {
      throw PyTorchFile.invalid(file, "its %s has null in place of a text", ENTRY);
    }
    return texts;
  }
}
