package io.github.actclip.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import io.github.actclip.testing.Fixture;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.AbstractTensor;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of Python's, by {@code src/test/python/make_pytorch_fixture.py}, and ours. */
class PyTorchFileTest {

  static {
    LibTorch.load();
  }

  /** Convolutions that sum in another order. */
  private static final double SUMMED = 2e-5;

  private static final Fixture EXPECTED = Fixture.load("pytorch/expected");

  @TempDir Path directory;
  private Path file;
  private TensorScope scope;

  @BeforeEach
  void open() {
    file = directory.resolve("some.pt");
    scope = new TensorScope();
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "state_dict.pt",
        "dict.pt",
        "parameters.pt",
        "dtypes.pt",
        "views.pt",
        "nothing.pt"
      })
  void readsWhatPythonSaved(String name) throws IOException {
    Map<String, Tensor> tensors = StateDict.read(fixture(name));

    JsonNode expected = EXPECTED.at(name);
    List<String> names = new ArrayList<>();
    expected.fieldNames().forEachRemaining(names::add);
    assertEquals(names, List.copyOf(tensors.keySet()));
    tensors.forEach((key, tensor) -> assertTensor(key, expected.get(key), tensor));
  }

  private static void assertTensor(String name, JsonNode expected, Tensor actual) {
    assertEquals(
        Dtype.named(expected.get("dtype").textValue()), Dtype.of(actual.scalar_type()), name);
    assertArrayEquals(longs(expected.get("shape")), actual.shape(), name);
    for (int i = 0; i < actual.dim(); i++) {
      assertEquals(expected.get("strides").get(i).asLong(), actual.stride(i), name);
    }
    assertFalse(actual.requires_grad(), name);
    assertEquals(expected.get("hex").textValue(), hex(actual), name);
  }

  private static long[] longs(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).mapToLong(JsonNode::asLong).toArray();
  }

  private static String hex(Tensor tensor) {
    return HexFormat.of().formatHex(SafetensorsTest.bytes(tensor.contiguous()));
  }

  @Test
  void sharedMemoryStaysShared() throws IOException {
    Map<String, Tensor> views = StateDict.read(fixture("views.pt"));
    views.get("base").fill_(new Scalar(9));
    assertEquals(9f, views.get("transposed").min().item_float());
    assertEquals(9f, views.get("element").item_float());
    views.get("base").close();
    assertEquals(9f, views.get("sliced").min().item_float());
  }

  @Test
  void aNetOfPythonsGivesPythonsLogits() throws IOException {
    Fixture made = Fixture.load("net");
    torch.manual_seed(made.at("seed").asLong());
    Net net = new Net();
    Tensor images = torch.randn(made.at("batch").asLong(), 3, 32, 32);
    StateDict.of(net).values().forEach(tensor -> tensor.set_data(torch.zeros_like(tensor)));

    StateDict.load(net, StateDict.read(fixture("net.pt")));

    Fixture.load("pytorch/net_logits").assertTensor("logits", net.forward(images), SUMMED);
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
    Tensor tensor = AbstractTensor.create(bits).view(dtype.scalarType()).view(3, 5);

    StateDict.write(file, Map.of("a", tensor));

    Tensor read = StateDict.read(file).get("a");
    assertEquals(dtype.scalarType(), read.scalar_type().intern());
    assertArrayEquals(bits, SafetensorsTest.bytes(read));
  }

  static Stream<Tensor> shapesAndViews() {
    LibTorch.load();
    Stream<Tensor> shapes = SafetensorsTest.shapes().map(shape -> torch.rand(shape));
    return Stream.concat(shapes, SafetensorsTest.views());
  }

  @ParameterizedTest
  @MethodSource("shapesAndViews")
  void writesWhatAViewShows(Tensor view) {
    StateDict.write(file, Map.of("a", view));

    Tensor read = StateDict.read(file).get("a");
    assertArrayEquals(view.shape(), read.shape());
    assertTrue(torch.equal(view, read));
    assertTrue(read.is_contiguous());
  }

  @Test
  void writesNamesInTheirOrder() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (String name : List.of("z", "größe 🙂", "", "a.b")) {
      tensors.put(name, torch.rand(2).set_requires_grad(true));
    }

    StateDict.write(file, tensors);

    assertEquals(List.copyOf(tensors.keySet()), List.copyOf(StateDict.read(file).keySet()));
  }

  @Test
  void readsAndWritesTensorsLargerThanOneBuffer() {
    byte[] bits = new byte[2 * (1 << 24) + 3];
    new Random(2).nextBytes(bits);

    StateDict.write(file, Map.of("a", AbstractTensor.create(bits)));

    assertArrayEquals(bits, SafetensorsTest.bytes(StateDict.read(file).get("a")));
  }

  @Test
  void writesAlignedDataAndTheSameBytesEachTime() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < 20; i++) {
      tensors.put("tensor " + i, torch.rand(i));
    }
    StateDict.write(file, tensors);
    byte[] bytes = Files.readAllBytes(file);
    Path again = directory.resolve("again.pth");
    StateDict.write(again, tensors);

    assertArrayEquals(bytes, Files.readAllBytes(again));
    try (ZipFile zip = new ZipFile(file.toFile())) {
      assertEquals("archive/data.pkl", zip.stream().findFirst().orElseThrow().getName());
      assertEquals(23, zip.stream().filter(e -> e.getMethod() == ZipEntry.STORED).count());
    }
    for (int at : dataOffsets(bytes)) {
      assertEquals(0, at % 64);
    }
  }

  /** Where the data of each local header begins, by the zip format's own description. */
  private static List<Integer> dataOffsets(byte[] zip) {
    ByteBuffer buffer = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
    List<Integer> offsets = new ArrayList<>();
    int at = 0;
    while (buffer.getInt(at) == 0x04034b50) {
      int data = at + 30 + buffer.getShort(at + 26) + buffer.getShort(at + 28);
      offsets.add(data);
      at = data + buffer.getInt(at + 18);
    }
    assertEquals(23, offsets.size());
    return offsets;
  }

  /** In 9 GB of memory and 5 GB of disk: archives of that size have another kind of entry. */
  @Test
  @EnabledIfSystemProperty(named = "actclip.test.large", matches = "true")
  void filesAbove4GibWork() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    try (var options = new TensorOptions(ScalarType.Byte)) {
      tensors.put("big", torch.full(new long[] {(1L << 32) + 5}, new Scalar(3), options));
    }
    tensors.put("small", AbstractTensor.create(1f, 2f));
    for (String name : List.of("a.pt", "a.safetensors")) {
      Path big = directory.resolve(name);
      StateDict.write(big, tensors);
      Map<String, Tensor> read = StateDict.read(big);
      tensors.forEach((key, tensor) -> assertTrue(torch.equal(tensor, read.get(key)), key));
      read.values().forEach(Tensor::close);
    }
  }

  @Test
  void memoryStaysFlatWithoutAScope() {
    scope.close();
    Tensor strided = torch.rand(512, 512).t();
    cycle(strided, 100);
    long before = Pointer.physicalBytes();
    long objects = Pointer.totalCount();

    cycle(strided, 500); // A leak of the tensors would be 500 MB, twice.

    assertTrue(Pointer.totalCount() <= objects, "native objects left to the garbage collector");
    long grown = Pointer.physicalBytes() - before;
    assertTrue(grown < 200 << 20, () -> "grew by " + grown + " bytes");
  }

  private void cycle(Tensor tensor, int times) {
    for (int i = 0; i < times; i++) {
      StateDict.write(file, Map.of("a", tensor));
      StateDict.read(file).values().forEach(Tensor::close);
    }
  }

  @Test
  void refusesTensorsThatCannotBeStored() {
    Tensor complex = torch.view_as_complex(torch.rand(3, 2));
    assertRefused("c.w", complex, "Tensor \"c.w\" has the dtype ComplexFloat, which cannot be");
    assertRefused("s", torch.rand(3, 3).to_sparse(), "Tensor \"s\" has the layout Sparse");
    assertRefused("u", new Tensor(), "Tensor \"u\" is undefined");
    assertRefused("\ud800", torch.rand(1), "half of a surrogate pair; it must be valid Unicode");
  }

  private void assertRefused(String name, Tensor tensor, String message) {
    var e = assertThrows(ActclipException.class, () -> StateDict.write(file, Map.of(name, tensor)));
    assertTrue(e.isBadInput());
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertFalse(Files.exists(file));
  }

  @Test
  void failureHalfWayLeavesTheOldFileAlone() throws IOException {
    StateDict.write(file, Map.of("old", torch.rand(1)));
    byte[] before = Files.readAllBytes(file);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("fine", torch.rand(1_000_000));
    tensors.put(
        "nowhere", torch.empty(new long[] {3}, new TensorOptions(new Device("meta")), null));

    var e = assertThrows(ActclipException.class, () -> StateDict.write(file, tensors));

    assertFalse(e.isBadInput());
    assertTrue(e.getMessage().startsWith("Tensor \"nowhere\" cannot be copied"), e.getMessage());
    assertArrayEquals(before, Files.readAllBytes(file));
    assertEquals(1, directory.toFile().list().length);
  }

  private Path fixture(String name) throws IOException {
    return copyFixture(name, directory);
  }

  static Path copyFixture(String name, Path directory) throws IOException {
    Path copy = directory.resolve(name);
    try (InputStream in = PyTorchFileTest.class.getResourceAsStream("/fixtures/pytorch/" + name)) {
      Files.copy(in, copy);
    }
    return copy;
  }
}
