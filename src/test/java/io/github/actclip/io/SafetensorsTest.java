package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class SafetensorsTest {

  static {
    LibTorch.load();
  }

  @TempDir Path directory;
  private Path file;
  private TensorScope scope;

  @BeforeEach
  void open() {
    file = directory.resolve("some.safetensors");
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @EnumSource
  void keepsEveryBitOfEveryDtype(Dtype dtype) {
    byte[] bits = new byte[3 * 5 * dtype.bytes()];
    new Random(1).nextBytes(bits);
    if (dtype == Dtype.BOOL) {
      for (int i = 0; i < bits.length; i++) {
        bits[i] &= 1;
      }
    }
    Tensor tensor = tensor(dtype, bits, 3, 5);

    Tensor read = roundTrip(tensor);

    assertEquals(dtype.scalarType(), read.scalar_type().intern());
    assertArrayEquals(new long[] {3, 5}, read.shape());
    assertArrayEquals(bits, bytes(read));
  }

  @Test
  void keepsSpecialValues() {
    float payloadNaN = Float.intBitsToFloat(0x7FC0BEEF);
    float[] values = {
      0f, -0f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, payloadNaN, Float.MIN_VALUE
    };

    Tensor read = roundTrip(AbstractTensor.create(values));

    ByteBuffer bits = ByteBuffer.wrap(bytes(read)).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      assertEquals(Float.floatToRawIntBits(value), bits.getInt());
    }
  }

  static Stream<long[]> shapes() {
    return Stream.of(
        new long[] {},
        new long[] {0},
        new long[] {3, 0, 2},
        new long[] {1},
        new long[] {2, 3, 4, 5, 6},
        new long[TensorInfo.MAX_DIMENSIONS]);
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void keepsShapes(long[] shape) {
    Tensor tensor = torch.rand(shape);

    Tensor read = roundTrip(tensor);

    assertArrayEquals(shape, read.shape());
    assertTrue(torch.equal(tensor, read));
    assertTrue(read.is_contiguous());
  }

  static Stream<Tensor> views() {
    LibTorch.load();
    Tensor base = torch.rand(2, 3, 4, 5);
    // One element: contiguous as it is, so that nothing but its flag says that it is negated.
    Tensor complex = torch.view_as_complex(torch.rand(1, 2));
    return Stream.of(
        base.contiguous(MemoryFormat.ChannelsLast),
        base.transpose(0, 3),
        base.slice(3, new LongOptional(1), new LongOptional(5), 2),
        base.narrow(0, 1, 1),
        base.select(0, 1).select(0, 1).select(1, 1).narrow(0, 1, 1),
        torch.rand(3, 1).expand(3, 4),
        torch.imag(complex.conj()));
  }

  @ParameterizedTest
  @MethodSource("views")
  void writesWhatAViewShows(Tensor view) {
    Tensor read = roundTrip(view);

    assertTrue(torch.equal(view, read));
    assertTrue(read.is_contiguous());
  }

  @Test
  void writesTensorsThatNeedGradients() {
    Tensor parameter = torch.rand(3).set_requires_grad(true);

    Tensor read = roundTrip(parameter);

    assertTrue(torch.equal(parameter, read));
    assertFalse(read.requires_grad());
    assertTrue(parameter.requires_grad());
  }

  @Test
  void writesExactlyTheFormat() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("flag", tensor(Dtype.BOOL, new byte[] {1}, 1));
    tensors.put("w", AbstractTensor.create(new float[] {1f, -2f}, 2, 1));

    Safetensors.write(file, tensors, Map.of("by", "actclip"));

    String json =
        "{\"__metadata__\":{\"by\":\"actclip\"},"
            + "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[8,9]},"
            + "\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}";
    String padded = json + " ".repeat(-json.length() & 7);
    byte[] data = {0, 0, (byte) 0x80, 0x3F, 0, 0, 0, (byte) 0xC0, 1};
    assertArrayEquals(SafetensorsFiles.of(padded, data), Files.readAllBytes(file));
  }

  @Test
  void alignsEveryTensorAndKeepsTheOrderOfTheMap() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Dtype dtype : List.of(Dtype.U8, Dtype.F64, Dtype.BOOL, Dtype.F16, Dtype.F32, Dtype.I8)) {
      tensors.put("odd number of " + dtype, tensor(dtype, new byte[3 * dtype.bytes()], 3));
    }

    Safetensors.write(file, tensors, Map.of());

    assertEquals(List.copyOf(tensors.keySet()), List.copyOf(Safetensors.read(file).keySet()));
    try (InputStream in = Files.newInputStream(file)) {
      SafetensorsHeader header = SafetensorsHeaderReader.read(file, in);
      assertEquals(0, header.dataStart() % 8);
      header.tensors().forEach(t -> assertEquals(0, t.begin() % t.dtype().bytes(), t.name()));
    }
  }

  @Test
  void readsWhatTheFormatsOwnLibraryWrote() throws IOException {
    try (InputStream fixture =
        getClass().getResourceAsStream("/fixtures/every_dtype.safetensors")) {
      Files.copy(fixture, file);
    }

    Map<String, Tensor> tensors = Safetensors.read(file);

    assertEquals(Map.of("note", "größe 🙂"), Safetensors.readMetadata(file));
    assertEquals(13, tensors.size());
    assertFixture(
        tensors.get("f64"),
        Dtype.F64,
        "0000000000000080 000000000000f07f 0100efbeaddef87f 000000000000f03f",
        2,
        2);
    assertFixture(tensors.get("f32"), Dtype.F32, "00000080 000080ff efbec07f 0000803f", 4);
    assertFixture(tensors.get("f16"), Dtype.F16, "0080 007c 017e", 3);
    assertFixture(tensors.get("bf16"), Dtype.BF16, "0080 807f c17f", 3);
    assertFixture(tensors.get("i64"), Dtype.I64, "0000000000000080 ffffffffffffff7f", 2);
    assertFixture(tensors.get("i32"), Dtype.I32, "00000080 ffffff7f", 1, 2);
    assertFixture(tensors.get("i16"), Dtype.I16, "0080 ff7f", 2);
    assertFixture(tensors.get("i8"), Dtype.I8, "80 7f ff", 3);
    assertFixture(tensors.get("u8"), Dtype.U8, "00 ff 80", 3);
    assertFixture(tensors.get("bool"), Dtype.BOOL, "01 00 01", 3);
    assertFixture(tensors.get("scalar"), Dtype.F32, "db0f4940");
    assertFixture(tensors.get("empty"), Dtype.F32, "", 3, 0, 2);
    assertFixture(tensors.get("größe 🙂"), Dtype.U8, "07", 1);
  }

  private static void assertFixture(Tensor tensor, Dtype dtype, String hex, long... shape) {
    assertEquals(dtype.scalarType(), tensor.scalar_type().intern());
    assertArrayEquals(shape, tensor.shape());
    assertArrayEquals(HexFormat.of().parseHex(hex.replace(" ", "")), bytes(tensor));
  }

  @Test
  void readsTensorsThatAreNotAligned() throws IOException {
    String json =
        "{\"a\":"
            + SafetensorsFiles.entry("U8", "[1]", 0, 1)
            + ",\"b\":"
            + SafetensorsFiles.entry("F32", "[1]", 1, 5)
            + "}";
    Files.write(file, SafetensorsFiles.of(json, new byte[] {9, 0, 0, (byte) 0x80, 0x3F}));

    assertEquals(1f, Safetensors.read(file).get("b").item_float());
  }

  @Test
  void readsTensorsLargerThanOneBuffer() {
    byte[] bits = new byte[2 * (1 << 24) + 3];
    new Random(2).nextBytes(bits);

    assertArrayEquals(bits, bytes(roundTrip(tensor(Dtype.U8, bits, bits.length))));
  }

  @Test
  void saysThatAFileBecameShorterMeanwhile() throws IOException {
    Safetensors.write(file, Map.of("a", torch.rand(1000)), Map.of());
    try (InputStream in = Files.newInputStream(file)) {
      SafetensorsHeaderReader.read(file, in);
      try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(channel.size() - 1);
      }

      var e =
          assertThrows(
              IOException.class,
              () -> TensorBytes.read(in, List.of(ByteBuffer.allocate(1000 * Float.BYTES))));

      assertEquals("it became shorter while it was being read", e.getMessage());
    }
  }

  @Test
  void storesMetadataAndNothingAtAll() {
    Map<String, String> metadata = Map.of("größe 🙂", "line 1\nline \"2\"", "", "");

    Safetensors.write(file, Map.of(), metadata);
    assertEquals(metadata, Safetensors.readMetadata(file));
    assertEquals(Map.of(), Safetensors.read(file));

    Safetensors.write(file, Map.of(), Map.of());
    assertEquals(Map.of(), Safetensors.readMetadata(file));
  }

  @Test
  void openScopeOwnsWhatWasRead() {
    Safetensors.write(file, Map.of("a", torch.rand(3)), Map.of());
    Tensor read;
    try (var inner = new TensorScope()) {
      read = Safetensors.read(file).get("a");
      assertFalse(read.isNull());
      inner.keep(torch.rand(1)).close();
    }
    assertTrue(read.isNull());
  }

  @Test
  void replacesAFile() {
    Safetensors.write(file, Map.of("old", torch.rand(100)), Map.of());
    Safetensors.write(file, Map.of("new", torch.rand(1)), Map.of());

    assertEquals(List.of("new"), List.copyOf(Safetensors.read(file).keySet()));
  }

  @Test
  void refusesTensorsThatTheFormatLacks() {
    Tensor complex = torch.view_as_complex(torch.rand(3, 2));
    assertRefused(
        "c.w", complex, "Tensor \"c.w\" has the dtype ComplexFloat, which cannot be stored");
    assertRefused("s", torch.rand(3, 3).to_sparse(), "Tensor \"s\" has the layout Sparse");
    assertRefused("u", new Tensor(), "Tensor \"u\" is undefined");
    assertRefused("n", null, "Tensor \"n\" is undefined");
    assertRefused("__metadata__", torch.rand(1), "A tensor cannot be named __metadata__");
    assertRefused("\ud800", torch.rand(1), "half of a surrogate pair; it must be valid Unicode");
  }

  private void assertRefused(String name, Tensor tensor, String message) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("fine", torch.rand(1));
    tensors.put(name, tensor);
    var e =
        assertThrows(
            ActclipException.class, () -> Safetensors.write(file, tensors, Map.of()), message);
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertFalse(Files.exists(file));
  }

  @Test
  void failureHalfWayLeavesTheOldFileAlone() throws IOException {
    Safetensors.write(file, Map.of("old", torch.rand(1)), Map.of());
    byte[] before = Files.readAllBytes(file);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("fine", torch.rand(1_000_000));
    tensors.put(
        "nowhere", torch.empty(new long[] {3}, new TensorOptions(new Device("meta")), null));

    var e = assertThrows(ActclipException.class, () -> Safetensors.write(file, tensors, Map.of()));

    assertFalse(e.isBadInput());
    assertTrue(e.getMessage().startsWith("Tensor \"nowhere\" cannot be copied"), e.getMessage());
    assertArrayEquals(before, Files.readAllBytes(file));
    assertEquals(List.of(file), list(directory));
  }

  @Test
  void failsWhereNoFileCanBe() throws IOException {
    Map<String, Tensor> tensors = Map.of("a", torch.rand(3));
    for (Path nowhere : List.of(directory.resolve("none/a.st"), Path.of("/proc/a.st"))) {
      var e =
          assertThrows(ActclipException.class, () -> Safetensors.write(nowhere, tensors, Map.of()));
      assertFalse(e.isBadInput());
      assertEquals(
          nowhere + " cannot be written: there is no such file or directory", e.getMessage());
    }
    assertEquals(List.of(), list(directory));
  }

  @Test
  void saysWhatIsNoFile() {
    for (Path nothing : List.of(file, directory)) {
      var e = assertThrows(ActclipException.class, () -> Safetensors.read(nothing));
      assertTrue(e.isBadInput());
      assertEquals(nothing + " is not a file; give the path of a safetensors file", e.getMessage());
    }
  }

  @Test
  void memoryStaysFlatWithoutAScope() {
    scope.close();
    Tensor strided = torch.rand(512, 512).t();
    cycle(strided, 100);
    long before = Pointer.physicalBytes();
    long objects = Pointer.totalCount();

    // A leak of the tensors would be 500 MB, twice.
    cycle(strided, 500);

    assertTrue(Pointer.totalCount() <= objects, "native objects left to the garbage collector");
    long grown = Pointer.physicalBytes() - before;
    assertTrue(grown < 200 << 20, () -> "grew by " + grown + " bytes");
  }

  private void cycle(Tensor tensor, int times) {
    for (int i = 0; i < times; i++) {
      Safetensors.write(file, Map.of("a", tensor), Map.of());
      Safetensors.read(file).values().forEach(Tensor::close);
    }
  }

  private Tensor roundTrip(Tensor tensor) {
    Safetensors.write(file, Map.of("a", tensor), Map.of());
    return Safetensors.read(file).get("a");
  }

  private static Tensor tensor(Dtype dtype, byte[] bits, long... shape) {
    return AbstractTensor.create(bits).view(dtype.scalarType()).view(shape);
  }

  static byte[] bytes(Tensor tensor) {
    Tensor flat = tensor.flatten().view(ScalarType.Byte);
    byte[] bytes = new byte[(int) flat.numel()];
    if (bytes.length > 0) {
      ByteBuffer buffer = flat.createBuffer();
      buffer.get(bytes);
    }
    return bytes;
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    }
  }
}
