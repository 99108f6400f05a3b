package io.github.actclip.io;

import static io.github.actclip.io.PyTorchFiles.NO_HOOKS;
import static io.github.actclip.io.PyTorchFiles.TENSOR;
import static io.github.actclip.io.PyTorchFiles.dictOf;
import static io.github.actclip.io.PyTorchFiles.global;
import static io.github.actclip.io.PyTorchFiles.integer;
import static io.github.actclip.io.PyTorchFiles.littleEndian;
import static io.github.actclip.io.PyTorchFiles.storage;
import static io.github.actclip.io.PyTorchFiles.tensor;
import static io.github.actclip.io.PyTorchFiles.text;
import static io.github.actclip.io.PyTorchFiles.tuple;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PyTorchHostileTest {

  private static final String STORAGE = storage("FloatStorage", "0", integer(6));
  private static final String ZERO = integer(0);

  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("bad.pt");
  }

  /** By {@code src/test/python/make_pytorch_fixture.py}; %s is the file. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "runs_code.pt  | %s holds \"posix.system\", which is code or no plain tensor; only tensors"
            + " are read, so save a module's state_dict()",
        "module.pt     | %s holds \"torch.nn.modules.linear.Linear\", which is code or no plain",
        "script.pt     | %s holds \"__torch__.torch.nn.modules.linear.Linear\", which is code",
        "sparse.pt     | %s holds \"torch._utils._rebuild_sparse_tensor\", which is code or no",
        "quantized.pt  | %s holds \"torch._utils._rebuild_qtensor\", which is code or no plain",
        "complex.pt    | %s holds a \"torch.ComplexFloatStorage\"; its tensors must have one of",
        "checkpoint.pt | %s must be a dict of tensors, and \"state_dict\" is a dict; save the state"
            + " dict alone: torch.save(net.state_dict(), file)",
        "numbers.pt    | %s must be a dict of tensors, and \"weight\" is a number; save the",
        "list.pt       | %s must be a dict of tensors, and it holds a list; save the state dict",
        "legacy.pt     | %s has the format of PyTorch before 1.6; load it in Python and save it"
            + " again: torch.save(torch.load(file, map_location='cpu'), file)",
        "protocol4.pt  | %s is not a valid PyTorch file: its pickle has the instruction 149, which",
        "big_endian.pt | %s has the byte order \"big\"; only little-endian files are read",
        "compressed.pt | %s is not a valid PyTorch file: \"data.pkl\" is compressed, which"
      })
  void refusesWhatPythonSavedByName(String name, String message) throws IOException {
    Path saved = PyTorchFileTest.copyFixture(name, directory);
    String shown = refusal(saved);
    assertTrue(shown.startsWith(String.format(Locale.ROOT, message, saved)), shown);
    assertFalse(Files.exists(Path.of("/tmp/actclip-ran-code")));
  }

  @ParameterizedTest
  @CsvSource({
    "os,system",
    "builtins,eval",
    "__builtin__,bytearray",
    "builtins,ValueError",
    "exceptions,IOError",
    "array,array",
    "datetime,datetime",
    "decimal,Decimal",
    "copy_reg,_reconstructor",
    "_codecs,encode",
    "operator,attrgetter",
    "torch.serialization,load",
    "collections,OrderedDict.fromkeys"
  })
  void refusesEveryFunctionThatIsNotListed(String module, String name) throws IOException {
    String call = global(module, name) + "(" + text("touch /tmp/actclip-ran-code") + "tR";
    assertRefused(dictOf(call), " holds \"" + module + "." + name + "\", which is code or no");
  }

  @Test
  void refusesInstructionsThatTensorsDoNotNeed() throws IOException {
    for (char instruction :
        "012FILPSTUVdgilopB\u0081\u0082\u008b\u008c\u008f\u0093".toCharArray()) {
      assertInvalid(
          dictOf(instruction + "\n"), "its pickle has the instruction " + (int) instruction + ",");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "}",
        "R",
        "Q.",
        "s.",
        "u.",
        "t.",
        "\u0085.",
        "b.",
        "}}b",
        "h\u0001.",
        "}a.",
        "}(e.",
        "((u.",
        "}(K\u0001u.",
        "X",
        "X\u0001\u0000\u0000\u0000",
        "c",
        "cos",
        "}R.",
        "N)R.",
        "\u0080",
        "\u0080\u0006}.",
        "\u008a\u00ff",
        "G\u0000."
      })
  void refusesDamagedPickles(String pickle) throws IOException {
    assertInvalid(pickle, "its pickle is damaged");
  }

  @Test
  void refusesLengthsBeyondThePickle() throws IOException {
    for (long length : new long[] {5, Integer.MAX_VALUE, -1, Integer.MIN_VALUE}) {
      assertInvalid("}X" + littleEndian(length, 4) + "ab", "its pickle is damaged");
    }
  }

  @Test
  void refusesWhatIsNoStorage() throws IOException {
    assertInvalid(
        dictOf("(" + text("module") + "NNNNtQ"), "a storage in it is described otherwise");
    assertInvalid(
        dictOf("(" + text("storage") + "NNNtQ"), "a storage in it is described otherwise");
    assertInvalid(
        dictOf(storage("FloatStorage", "0", integer(1L << 62))),
        "storage \"0\" has 4611686018427387904 elements, which no memory holds");
    assertInvalid(
        dictOf(storage("FloatStorage", "0", integer(-1))),
        "it has -1 where an integer of 0 or more should be");
    assertInvalid(
        dictOf(storage("FloatStorage", "0", "\u0088")),
        "it has a number where an integer of 0 or more should be");
    assertInvalid(
        dictOf(storage("FloatStorage", "0", "\u008a\u0009" + "\u0001".repeat(9))),
        "it has 18519084246547628289 where an integer");
    assertInvalid(withTensor(storage("FloatStorage", "1", integer(6))), "it has no \"data/1\"");
    assertInvalid(
        withTensor(storage("FloatStorage", "../data/0", integer(6))),
        "it has no \"data/../data/0\"");
    assertInvalid(
        withTensor(storage("FloatStorage", "0", integer(7))),
        "storage \"0\" has 24 bytes, and its 7 elements of F32 need 28");
    assertInvalid(
        withTensor(storage("DoubleStorage", "0", integer(6))),
        "storage \"0\" has 24 bytes, and its 6 elements of F64 need 48");
  }

  private static String withTensor(String storage) {
    return dictOf(tensor(storage, ZERO, tuple(), tuple()));
  }

  @Test
  void refusesTensorsThatAreNotInTheirStorage() throws IOException {
    assertOutside("[7], strides [1] and offset 0", ZERO, tuple(7), tuple(1));
    assertOutside("[2, 3], strides [4, 1] and offset 0", ZERO, tuple(2, 3), tuple(4, 1));
    assertOutside("[2], strides [1] and offset 5", integer(5), tuple(2), tuple(1));
    assertOutside("[], strides [] and offset 6", integer(6), tuple(), tuple());
    assertOutside(
        "[3], strides [4611686018427387904] and offset 0", ZERO, tuple(3), tuple(1L << 62));
    assertOutside(
        "[2], strides [9223372036854775807] and offset 9223372036854775807",
        integer(Long.MAX_VALUE),
        tuple(2),
        tuple(Long.MAX_VALUE));
    assertOutside(
        "[4294967296, 4294967296], strides [0, 0] and offset 0",
        ZERO,
        tuple(1L << 32, 1L << 32),
        tuple(0, 0));
    String minus = "it has -1 where an integer of 0 or more should be";
    assertInvalid(dictOf(tensor(STORAGE, integer(5), tuple(2), tuple(-1))), minus);
    assertInvalid(dictOf(tensor(STORAGE, ZERO, tuple(-1), tuple(1))), minus);
    assertInvalid(dictOf(tensor(STORAGE, integer(-1), tuple(1), tuple(1))), minus);
  }

  private void assertOutside(String what, String offset, String shape, String strides)
      throws IOException {
    assertInvalid(
        dictOf(tensor(STORAGE, offset, shape, strides)),
        "it holds a tensor of shape " + what + " in a storage of 6 elements");
  }

  @Test
  void refusesShapesThatAreNone() throws IOException {
    assertInvalid(
        dictOf(tensor(STORAGE, ZERO, tuple(1, 1), tuple(1))),
        "it holds a tensor of 2 dimensions with 1 strides; at most 64 are possible");
    assertInvalid(
        dictOf(tensor(STORAGE, ZERO, tuple(new long[65]), tuple(new long[65]))),
        "it holds a tensor of 65 dimensions with 65 strides");
    assertInvalid(dictOf(tensor(STORAGE, ZERO, "N", tuple(1))), "its pickle is damaged");
    assertInvalid(dictOf(tensor("N", ZERO, tuple(1), tuple(1))), "its pickle is damaged");
    assertInvalid(dictOf(TENSOR + ")R"), "its pickle is damaged");
  }

  @Test
  void refusesLazilyNegatedTensors() throws IOException {
    String metadata = "}" + text("neg") + "\u0088s";
    String negated =
        TENSOR + "(" + STORAGE + ZERO + tuple(1) + tuple(1) + "\u0089" + NO_HOOKS + metadata + "tR";
    assertInvalid(dictOf(negated), "it holds a tensor that is yet to be negated");
  }

  @Test
  void refusesKeysThatAreNone() throws IOException {
    assertInvalid("})Ns.", "a dict in it has a key that is a tuple, not a text or number");
    assertInvalid("}]q\u0000h\u0000as.", "its pickle is damaged");
    String twice = text("a") + "K\u0001" + text("a") + "K\u0001";
    assertInvalid("}(" + twice + "u.", "it has the key \"a\" twice");
    assertRefused("}K\u0001Ns.", " must be a dict of tensors, and the key 1 is a number;");
    assertRefused("N.", " must be a dict of tensors, and it holds None;");
  }

  /** Every level has the one below it twice: its hash code would take 2^100 steps. */
  @Test
  void refusesKeysThatContainThemselves() throws IOException {
    StringBuilder pickle = new StringBuilder("]q\u0000");
    for (int i = 0; i < 100; i++) {
      pickle.append("]q\u0001(h\u0000h\u0000eq\u0000");
    }
    assertInvalid(pickle + "}h\u0000Ns.", "a list, not a text or number");
    assertInvalid("}]q\u0000h\u0000aNs.", "a list, not a text or number");
  }

  @Test
  void readsAHugeViewOfLittleMemory() throws IOException {
    Files.write(
        file,
        PyTorchFiles.of(dictOf(tensor(STORAGE, ZERO, tuple(1L << 40), tuple(0))), new byte[24]));
    try (Tensor tensor = StateDict.read(file).get("w")) {
      assertEquals(1L << 40, tensor.numel());
    }
  }

  @Test
  void refusesWhatIsNoArchive() throws IOException {
    Files.write(file, new byte[0]);
    assertTrue(refusal(file).startsWith(file + " is not a valid PyTorch file: "));
    Files.write(file, new byte[1000]);
    assertTrue(refusal(file).startsWith(file + " is not a valid PyTorch file: "));
    Files.write(file, PyTorchFiles.zip(Map.of("a/version", new byte[1])));
    assertEquals(file + " is not a valid PyTorch file: it has no data.pkl", refusal(file));
    Files.write(file, PyTorchFiles.zip(Map.of("data.pkl", new byte[1])));
    assertEquals(file + " is not a valid PyTorch file: it has no data.pkl", refusal(file));
    assertEquals(
        directory + " is not a file; give the path of a PyTorch file", refusalOf(directory));
  }

  private String refusalOf(Path path) {
    return assertThrows(ActclipException.class, () -> PyTorchFile.read(path)).getMessage();
  }

  /** Many storages that are the same bytes of the file. */
  @Test
  void refusesOverlappingStorages() throws IOException {
    StringBuilder tensors = new StringBuilder("}");
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("a/data.pkl", new byte[0]);
    for (int i = 0; i < 10; i++) {
      String storage = storage("FloatStorage", String.valueOf(i), integer(6));
      tensors.append(text("w" + i)).append(tensor(storage, ZERO, tuple(), tuple())).append('s');
      entries.put("a/data/" + i, new byte[24]);
    }
    entries.put("a/data.pkl", PyTorchFiles.bytes(tensors + "."));
    byte[] zip = PyTorchFiles.zip(entries);
    pretendSize(zip, 24, 1000);
    Files.write(file, zip);
    assertTrue(refusal(file).contains("has 1000 bytes, and its 6 elements"), refusal(file));
    pretendSize(zip, 1000, zip.length + 1);
    Files.write(file, zip);
    assertTrue(refusal(file).contains(" bytes, and the file has " + zip.length), refusal(file));
  }

  /** Changes a size of entries in the central directory. */
  private static void pretendSize(byte[] zip, int from, int to) {
    ByteBuffer buffer = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at + 28 < zip.length; at++) {
      if (buffer.getInt(at) == 0x02014b50 && buffer.getInt(at + 24) == from) {
        buffer.putInt(at + 20, to).putInt(at + 24, to);
      }
    }
  }

  @Test
  void refusesDamagedData() throws IOException {
    byte[] content =
        PyTorchFiles.of(withTensor(STORAGE), "actclip actclip actclip.".getBytes(ISO_8859_1));
    String text = new String(content, ISO_8859_1);
    content[text.indexOf("actclip actclip")] ^= 1;
    Files.write(file, content);
    assertEquals(
        file + " is not a valid PyTorch file: \"a/data/0\" is damaged: its checksum is wrong",
        refusal(file));
  }

  @Test
  void messagesStayOnOneShortLine() throws IOException {
    assertRefused(dictOf(global("a\u001b%s", "x".repeat(40_000))), "\"a?%s.xxx");
    assertRefused("}" + text("\n" + "x".repeat(40_000)) + "Ns.", "\"?xxx");
  }

  private void assertInvalid(String pickle, String message) throws IOException {
    assertRefused(pickle, message);
    assertTrue(refusal(file).startsWith(file + " is not a valid PyTorch file: "), refusal(file));
  }

  private void assertRefused(String pickle, String message) throws IOException {
    Files.write(file, PyTorchFiles.of(pickle, new byte[24]));
    assertTrue(refusal(file).contains(message), refusal(file));
  }

  private static String refusal(Path file) {
    var e = assertThrows(ActclipException.class, () -> StateDict.read(file));
    assertTrue(e.isBadInput(), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    assertTrue(e.getMessage().length() < 700, e.getMessage());
    return e.getMessage();
  }
}
