package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.floats;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.runtime.TensorScope;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Augmentation and normalisation of batches of other shapes than 3×32×32, against their formulas.
 */
class TransformShapesTest {

  private static final long[] SEEDS = {3, 1, 4, 1, 5, 9, 2, 6};

  /** Random values of (8, C, H, W). */
  private static Tensor images(int channels, int rows, int columns, boolean channelsLast) {
    float[] values = new float[SEEDS.length * channels * rows * columns];
    Random random = new Random(1);
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    Tensor images = torch.tensor(values).view(SEEDS.length, channels, rows, columns);
    return channelsLast ? images.contiguous(MemoryFormat.ChannelsLast) : images;
  }

  @ParameterizedTest
  @CsvSource({
    "1,5,7,false",
    "1,5,7,true",
    "2,9,4,false",
    "2,9,4,true",
    "3,32,32,false",
    "3,32,32,true",
    "4,6,6,true"
  })
  void cropsAndFlipsImagesOfAnyShape(int channels, int rows, int columns, boolean channelsLast) {
    int padding = 3;
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor images = images(channels, rows, columns, channelsLast);
      float[] before = floats(images);
      float[] after = floats(new Augmentation(padding, true).apply(images, SEEDS));
      int at = 0;
      for (long seed : SEEDS) {
        Random random = new Random(seed);
        int down = random.nextInt(2 * padding + 1) - padding;
        int right = random.nextInt(2 * padding + 1) - padding;
        boolean mirrored = random.nextBoolean();
        int image = at;
        for (; at < image + channels * rows * columns; at++) {
          int x = at % columns;
          int fromY = at / columns % rows + down;
          int fromX = (mirrored ? columns - 1 - x : x) + right;
          boolean black = fromY < 0 || fromY >= rows || fromX < 0 || fromX >= columns;
          int plane = at / (rows * columns) * rows * columns;
          assertEquals(black ? 0 : before[plane + fromY * columns + fromX], after[at]);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void normalisesEachChannel(boolean channelsLast) {
    Normalization normalization = new Normalization(List.of(0.5, -1.0), List.of(0.1, 3.0));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor images = images(2, 4, 3, channelsLast);
      float[] before = floats(images);
      float[] after = floats(normalization.apply(images, SEEDS));
      for (int at = 0; at < before.length; at++) {
        float expected = at / 12 % 2 == 0 ? (before[at] - 0.5f) / 0.1f : (before[at] + 1f) / 3f;
        assertEquals(expected, after[at]);
      }
    }
  }

  @Test
  void normalisesEachColumnOfRows() {
    Normalization normalization = new Normalization(List.of(1.0, 10.0), List.of(2.0, 5.0));
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Tensor rows = torch.tensor(3f, 0f, -1f, 20f).view(2, 2);
      assertArrayEquals(new float[] {1, -2, -1, 2}, floats(normalization.apply(rows, SEEDS)));
      // With gaps, as a view may have them.
      Tensor columns = torch.tensor(3f, -1f, 0f, 20f).view(2, 2).t();
      assertArrayEquals(new float[] {1, -2, -1, 2}, floats(normalization.apply(columns, SEEDS)));
    }
  }

  /** Of 0, …, 8: mean 4, variance (81 − 1)/12. */
  @Test
  void meanAndDeviationOfRows() {
    Normalization normalization = Normalization.of(new OneColumn(9));
    assertEquals(List.of(4.0), normalization.mean());
    assertEquals(Math.sqrt(80 / 12.0), normalization.std().get(0), 1e-15);
    Normalization many = Normalization.of(new OneColumn(1000));
    assertEquals(List.of(499.5), many.mean());
    assertEquals(Math.sqrt(999_999 / 12.0), many.std().get(0), 1e-12);
  }

  @Test
  void oneRowCannotBeNormalised() {
    assertBadInput(
        () -> Normalization.of(new OneColumn(1)), "all values of channel 0 of one column are 0.0");
  }

  @Test
  void saysWhatDataItTakes() {
    Normalization three = new Normalization(List.of(0.0, 0.0, 0.0), List.of(1.0, 1.0, 2.0));
    Augmentation augmentation = new Augmentation(4, true);
    TensorScope.run(
        () -> {
          assertBadInput(
              () -> three.apply(torch.ones(2, 4), SEEDS), "of 3 channels", "shape [2, 4]");
          assertBadInput(() -> three.apply(torch.ones(2), SEEDS), "(B, C, …)", "shape [2]");
          assertBadInput(
              () -> three.apply(torch.ones(2, 3).to(ScalarType.Double), SEEDS),
              "float32",
              "Double");
          assertBadInput(
              () -> three.apply(torch.ones(2, 3).to(new Device("meta"), ScalarType.Float), SEEDS),
              "a normalization",
              "meta");
          assertBadInput(() -> three.apply(null, SEEDS), "a normalization", "no tensor");
          assertBadInput(
              () -> augmentation.apply(torch.ones(2, 3, 4, 9), SEEDS),
              "H and W above 4",
              "[2, 3, 4, 9]");
          assertBadInput(() -> augmentation.apply(torch.ones(2, 3), SEEDS), "(B, C, H, W)");
        });
  }
}
