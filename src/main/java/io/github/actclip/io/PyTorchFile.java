package io.github.actclip.io;

import io.github.actclip.runtime.ActclipException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;

/**
 * Reads what Python's {@code torch.save} made of a state dict: a zip archive, not compressed, with
 * a pickle that describes the tensors and one file of raw data for each storage.
 */
final class PyTorchFile implements AutoCloseable {

  static final String PICKLE = "data.pkl";
  static final String BYTE_ORDER = "byteorder";
  static final String LITTLE_ENDIAN = "little";
  static final String STORAGES = "data/";

  private static final Pattern ROOT = Pattern.compile("([^/]*/)" + Pattern.quote(PICKLE));
  private static final int MAX_PICKLE_BYTES = 1 << 26;
  private static final int MAX_BYTE_ORDER_BYTES = 16;

  // PROTO 2, LONG1 of 10 bytes: how the format before the archive begins its magic number.
  private static final byte[] LEGACY = {(byte) 0x80, 2, (byte) 0x8A, 10};

  private final Path file;
  private final long fileBytes;
  private final ZipFile zip;
  private final String root;

  private PyTorchFile(Path file) throws IOException {
    this.file = file;
    fileBytes = Files.size(file);
    zip = openZip(file);
    try {
      root = findRoot();
    } catch (RuntimeException e) {
      zip.close();
      throw e;
    }
  }

  /**
   * Reads all tensors of a file, as {@link StateDict#read} says.
   *
   * @throws ActclipException before a tensor is made, except for damaged data
   */
  static Map<String, Tensor> read(Path file) {
    return open(
        file,
        opened -> {
          Map<String, String> texts = opened.readTexts();
          Map<String, Tensor> tensors = opened.readTensors();
          Meanings.give(tensors, texts);
          return tensors;
        });
  }

  /** Reads the texts that {@link PyTorchTexts} wrote beside the tensors; empty without any. */
  static Map<String, String> readTexts(Path file) {
    return open(file, PyTorchFile::readTexts);
  }

  private interface Reader<T> {
    T read(PyTorchFile opened) throws IOException;
  }

  private static <T> T open(Path file, Reader<T> reader) {
    return InputFile.read(
        file,
        "a PyTorch file",
        () -> {
          try (PyTorchFile opened = new PyTorchFile(file)) {
            return reader.read(opened);
          } catch (ZipException e) {
            throw invalid(file, "%s", ActclipException.firstLine(e));
          } catch (EOFException e) {
            throw invalid(file, "it ends early");
          }
        });
  }

  static ActclipException invalid(Path file, String message, Object... args) {
    return ActclipException.badInput(
        "%s is not a valid PyTorch file: %s", file, String.format(Locale.ROOT, message, args));
  }

  private static ZipFile openZip(Path file) throws IOException {
    try {
      return new ZipFile(file.toFile());
    } catch (ZipException | IllegalArgumentException e) {
      if (isLegacy(file)) {
        throw ActclipException.badInput(
            "%s has the format of PyTorch before 1.6; load it in Python and save it again:"
                + " torch.save(torch.load(file, map_location='cpu'), file)",
            file);
      }
      throw invalid(file, "%s", ActclipException.firstLine(e));
    }
  }

  private static boolean isLegacy(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(in.readNBytes(LEGACY.length), LEGACY);
    }
  }

  private String findRoot() {
    return zip.stream()
        .map(entry -> ROOT.matcher(entry.getName()))
        .filter(matcher -> matcher.matches())
        .map(matcher -> matcher.group(1))
        .findFirst()
        .orElseThrow(() -> invalid(file, "it has no %s", PICKLE));
  }

  private Map<String, Tensor> readTensors() throws IOException {
    requireLittleEndian();
    byte[] pickle = readSmall(entry(PICKLE), MAX_PICKLE_BYTES);
    Map<String, PickledTensor> described = StateDictUnpickler.read(file, pickle);
    Map<String, ZipEntry> entries = storageEntries(described);
    Map<String, Tensor> storages = new HashMap<>();
    try {
      for (var storage : entries.entrySet()) {
        long bytes = storage.getValue().getSize();
        String what = "storage " + TensorInfo.quoted(storage.getKey());
        Tensor memory = TensorBytes.allocate(what, Dtype.U8, bytes);
        storages.put(storage.getKey(), memory);
        readInto(storage.getValue(), TensorBytes.of(memory));
      }
      return InputFile.allOrNone(
          tensors ->
              described.forEach(
                  (name, tensor) ->
                      tensors.put(name, view(storages.get(tensor.storage().key()), tensor))));
    } finally {
      storages.values().forEach(Tensor::close); // The tensors hold on to the memory.
    }
  }

  private Map<String, String> readTexts() throws IOException {
    return zip.getEntry(root + PyTorchTexts.ENTRY) == null
        ? Map.of()
        : PyTorchTexts.read(file, readSmall(entry(PyTorchTexts.ENTRY), MAX_PICKLE_BYTES));
  }

  private void requireLittleEndian() throws IOException {
    if (zip.getEntry(root + BYTE_ORDER) == null) { // As PyTorch before 2.1 wrote it.
      return;
    }
    byte[] bytes = readSmall(entry(BYTE_ORDER), MAX_BYTE_ORDER_BYTES);
    String order = new String(bytes, StandardCharsets.US_ASCII).strip();
    if (!order.equals(LITTLE_ENDIAN)) {
      throw ActclipException.badInput(
          "%s has the byte order %s; only little-endian files are read",
          file, TensorInfo.quoted(order));
    }
  }

  /** The storages that the tensors need, each once; together they cannot be more than the file. */
  private Map<String, ZipEntry> storageEntries(Map<String, PickledTensor> tensors) {
    Map<String, ZipEntry> entries = new LinkedHashMap<>();
    long total = 0;
    for (PickledTensor tensor : tensors.values()) {
      PickledTensor.Storage storage = tensor.storage();
      ZipEntry entry = entries.get(storage.key());
      if (entry == null) {
        entry = entry(STORAGES + storage.key());
        entries.put(storage.key(), entry);
        total += entry.getSize();
      }
      if (entry.getSize() != storage.bytes()) {
        throw invalid(
            file,
            "storage %s has %d bytes, and its %d elements of %s need %d",
            TensorInfo.quoted(storage.key()),
            entry.getSize(),
            storage.elements(),
            storage.dtype(),
            storage.bytes());
      }
    }
    if (total > fileBytes) {
      throw invalid(file, "its storages have %d bytes, and the file has %d", total, fileBytes);
    }
    return entries;
  }

  private ZipEntry entry(String name) {
    ZipEntry entry = zip.getEntry(root + name);
    if (entry == null) {
      throw invalid(file, "it has no %s", TensorInfo.quoted(name));
    }
    if (entry.getMethod() != ZipEntry.STORED || entry.getSize() != entry.getCompressedSize()) {
      throw invalid(
          file, "%s is compressed, which torch.save does not do", TensorInfo.quoted(name));
    }
    if (entry.getSize() < 0 || entry.getSize() > fileBytes) {
      throw invalid(
          file,
          "%s has %d bytes, and the file has %d",
          TensorInfo.quoted(name),
          entry.getSize(),
          fileBytes);
    }
    return entry;
  }

  private byte[] readSmall(ZipEntry entry, int most) throws IOException {
    if (entry.getSize() > most) {
      throw invalid(
          file,
          "%s has %d bytes; at most %d are read",
          TensorInfo.quoted(entry.getName()),
          entry.getSize(),
          most);
    }
    ByteBuffer bytes = ByteBuffer.allocate((int) entry.getSize());
    readInto(entry, List.of(bytes));
    return bytes.array();
  }

  private void readInto(ZipEntry entry, List<ByteBuffer> chunks) throws IOException {
    CRC32 crc = new CRC32();
    try (InputStream in = new CheckedInputStream(zip.getInputStream(entry), crc)) {
      TensorBytes.read(in, chunks);
    }
    // 0 where Python was told to save without checksums.
    if (entry.getCrc() != 0 && entry.getCrc() != crc.getValue()) {
      throw invalid(
          file, "%s is damaged: its checksum is wrong", TensorInfo.quoted(entry.getName()));
    }
  }

  private static Tensor view(Tensor memory, PickledTensor tensor) {
    long offset = tensor.isEmpty() ? 0 : tensor.offset();
    try (var at = new LongOptional(offset);
        Tensor elements = memory.view(tensor.storage().dtype().scalarType())) {
      return elements.as_strided(tensor.shape(), tensor.strides(), at);
    }
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }
}
