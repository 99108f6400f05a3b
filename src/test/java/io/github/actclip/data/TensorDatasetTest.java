package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.floats;
import static io.github.actclip.data.TestData.longs;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TensorDatasetTest {

  /** Sample i: data (i, 10 i), target i² as the dtype. */
  private static TensorDataset squares(int count, ScalarType dtype) {
    float[] data = new float[2 * count];
    long[] target = new long[count];
    for (int i = 0; i < count; i++) {
      data[2 * i] = i;
      data[2 * i + 1] = 10 * i;
      target[i] = (long) i * i;
    }
    TensorDataset[] squares = new TensorDataset[1];
    TensorScope.run(
        () ->
            squares[0] =
                new TensorDataset(
                    "squares", torch.tensor(data).view(count, 2), torch.tensor(target).to(dtype)));
    return squares[0];
  }

  @Test
  void givesSamplesByTheirNumbers() {
    try (TensorDataset squares = squares(10, ScalarType.Long)) {
      assertEquals(10, squares.size());
      assertEquals("squares", squares.name());
      assertEquals("squares", squares.source());
      TensorScope.run(
          () -> {
            Batch batch = squares.batch(9, 0, 3);
            assertArrayEquals(new float[] {9, 90, 0, 0, 3, 30}, floats(batch.data()));
            assertArrayEquals(new long[] {3, 2}, batch.data().shape());
            assertArrayEquals(new long[] {81, 0, 9}, longs(batch.target()));
            assertArrayEquals(new long[] {3}, batch.target().shape());
          });
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"Float", "Double", "Int", "Byte", "Bool", "BFloat16"})
  void keepsTheDtype(ScalarType dtype) {
    try (TensorDataset squares = squares(4, dtype)) {
      TensorScope.run(() -> assertEquals(dtype, squares.batch(1).target().scalar_type().intern()));
      assertNotEquals(0, squares.checksum());
    }
  }

  @Test
  void outlivesTheTensorsAndTheScopeItWasMadeIn() {
    TensorDataset squares = squares(5, ScalarType.Long); // whose scope has ended
    List<Long> seen = new ArrayList<>();
    DataLoader.shuffled(squares, 2, 0, new Device("cpu"))
        .forEach(batch -> seen.add(longs(batch.target())[0]));
    assertEquals(3, seen.size());
    squares.close();
    squares.close();
    assertBadInput(() -> squares.batch(0), "squares", "closed");
    assertBadInput(squares::checksum, "squares", "closed");
  }

  @Test
  void aBatchSharesNoMemoryWithTheDataset() {
    try (TensorDataset squares = squares(5, ScalarType.Long)) {
      TensorScope.run(
          () -> {
            squares.batch(1, 2).data().zero_();
            assertArrayEquals(new float[] {1, 10, 2, 20}, floats(squares.batch(1, 2).data()));
          });
    }
  }

  @Test
  void gradientsDoNotReachTheTensors() {
    TensorScope.run(
        () -> {
          Tensor data = torch.ones(3, 1).requires_grad_(true);
          try (TensorDataset dataset = new TensorDataset("ones", data, torch.ones(3))) {
            assertFalse(dataset.batch(0, 1).data().requires_grad());
          }
        });
  }

  /** The bytes as Java would write them, little-endian. */
  @Test
  void theChecksumIsThatOfTheBytesInOrder() {
    ByteBuffer bytes = ByteBuffer.allocate(1000).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put("Float[3, 2]".getBytes(StandardCharsets.US_ASCII));
    for (int i = 0; i < 3; i++) {
      bytes.putFloat(i).putFloat(10 * i);
    }
    bytes.put("Long[3]".getBytes(StandardCharsets.US_ASCII));
    bytes.putLong(0).putLong(1).putLong(4);
    CRC32C crc = new CRC32C();
    crc.update(bytes.flip());
    try (TensorDataset squares = squares(3, ScalarType.Long);
        TensorDataset again = squares(3, ScalarType.Long);
        TensorDataset other = squares(3, ScalarType.Float)) {
      assertEquals(crc.getValue(), squares.checksum());
      assertEquals(squares.checksum(), again.checksum());
      assertNotEquals(squares.checksum(), other.checksum());
    }
  }

  /** Of many pieces, and of a tensor with gaps. */
  @Test
  void theChecksumOfLargeTensorsIsThatOfTheirValues() {
    TensorScope.run(
        () -> {
          Tensor wide = torch.rand(1500, 8000); // 48 MB
          Tensor column = wide.t().contiguous().t();
          Tensor target = torch.ones(1500);
          try (TensorDataset one = new TensorDataset("a", wide, target);
              TensorDataset other = new TensorDataset("b", column, target)) {
            assertEquals(one.checksum(), other.checksum());
          }
          long before = new TensorDataset("a", wide, target).checksum();
          wide.select(0, 1499).select(0, 7999).add_(torch.ones(1).squeeze());
          assertNotEquals(before, new TensorDataset("a", wide, target).checksum());
        });
  }

  @Test
  void refusesWhatIsNoSamples() {
    LibTorch.load();
    TensorScope.run(
        () -> {
          Tensor three = torch.ones(3);
          Tensor none = torch.ones(new long[] {0, 2});
          assertBadInput(
              () -> new TensorDataset("x", torch.ones(4, 2), three),
              "x",
              "[4, 2]",
              "[3]",
              "the same");
          assertBadInput(() -> new TensorDataset("x", null, three), "data: there is no tensor");
          assertBadInput(() -> new TensorDataset("x", three, null), "target: there is no tensor");
          assertBadInput(
              () -> new TensorDataset("x", torch.ones(1).squeeze(), three), "(N, …)", "shape []");
          assertBadInput(() -> new TensorDataset("x", none, none), "(N, …)", "shape [0, 2]");
          Tensor meta = three.to(new Device("meta"), ScalarType.Float);
          assertBadInput(() -> new TensorDataset("x", meta, three), "data", "meta");
          Tensor many = torch.ones(1).expand(1L << 31);
          assertBadInput(
              () -> new TensorDataset("x", many, many), "x has 2147483648 samples", "2147483647");
        });
  }

  @Test
  void refusesSamplesThatAreNotThere() {
    try (TensorDataset squares = squares(3, ScalarType.Long)) {
      assertBadInput(() -> squares.batch(0, 3), "squares has no sample 3", "0 to 2");
      assertBadInput(() -> squares.batch(-1), "squares has no sample -1");
      assertBadInput(() -> squares.batch(), "no samples of squares");
    }
  }
}
