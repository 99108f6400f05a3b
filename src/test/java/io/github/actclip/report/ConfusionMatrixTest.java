package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.data.Batch;
import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Normalization;
import io.github.actclip.data.Split;
import io.github.actclip.nn.Network;
import io.github.actclip.report.ConfusionMatrix.Confusion;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfusionMatrixTest {

  static {
    LibTorch.load();
  }

  /** Says what it is told. */
  private static final class Echo extends Network {
    @Override
    public Tensor forward(Tensor x) {
      assertFalse(is_training());
      return x.alias();
    }
  }

  /** Logits of which one is the largest, and classes. */
  private record Answers(int[] taken, long[] targets, int outputs, List<String> names)
      implements Dataset {

    @Override
    public int size() {
      return taken.length;
    }

    @Override
    public Batch batch(int... indices) {
      float[] logits = new float[indices.length * outputs];
      long[] some = new long[indices.length];
      for (int i = 0; i < indices.length; i++) {
        logits[i * outputs + taken[indices[i]]] = 1;
        some[i] = targets[indices[i]];
      }
      try (TensorScope scope = new TensorScope()) {
        Tensor data = torch.tensor(logits).reshape(indices.length, outputs).clone();
        return new Batch(scope.pass(data), scope.pass(torch.tensor(some).clone()));
      }
    }

    @Override
    public String name() {
      return "answers";
    }

    @Override
    public long checksum() {
      return 1;
    }

    @Override
    public List<String> classes() {
      return names;
    }
  }

  private static ConfusionMatrix of(Dataset data) {
    Echo network = new Echo();
    ConfusionMatrix matrix = ConfusionMatrix.of(network, data, Devices.of("cpu"));
    assertTrue(network.is_training());
    return matrix;
  }

  @ParameterizedTest
  @CsvSource({"1, 7", "2, 600", "100, 2000"})
  void everySampleIsCountedWhereItBelongs(int outputs, int samples) {
    Random random = new Random(outputs);
    int[] taken = random.ints(samples, 0, outputs).toArray();
    long[] classes = random.longs(samples, 0, outputs).toArray();
    long[][] expected = new long[outputs][outputs];
    IntStream.range(0, samples).forEach(i -> expected[(int) classes[i]][taken[i]]++);
    ConfusionMatrix matrix = of(new Answers(taken, classes, outputs, List.of("a", "b")));
    assertEquals(
        Arrays.stream(expected).map(row -> Arrays.stream(row).boxed().toList()).toList(),
        matrix.counts());
    assertEquals(outputs == 2 ? List.of("a", "b") : names(outputs), matrix.classes());
  }

  private static List<String> names(int outputs) {
    return IntStream.range(0, outputs).mapToObj(String::valueOf).toList();
  }

  @ParameterizedTest
  @CsvSource({"101, 3", "4, 4", "4, -1"})
  void whatHasTooManyClassesOrOthersHasNone(int outputs, long wrong) {
    Answers data = new Answers(new int[] {1, 2}, new long[] {0, wrong}, outputs, List.of());
    assertEquals(ConfusionMatrix.NONE, of(data));
  }

  @Test
  void numbersHaveNone() {
    Dataset classes = new Answers(new int[] {1, 2}, new long[] {0, 1}, 4, List.of());
    Dataset numbers =
        new Dataset() {
          @Override
          public int size() {
            return 2;
          }

          @Override
          public Batch batch(int... indices) {
            try (TensorScope scope = new TensorScope()) {
              Batch batch = classes.batch(indices);
              Tensor target = batch.target().to(ScalarType.Float);
              return new Batch(scope.pass(batch.data()), scope.pass(target));
            }
          }

          @Override
          public String name() {
            return "numbers";
          }

          @Override
          public long checksum() {
            return 1;
          }
        };
    assertEquals(ConfusionMatrix.NONE, of(numbers));
  }

  @Test
  void theStrongestConfusionsAreSaidAndMarked() {
    List<List<Long>> counts = List.of(List.of(5L, 2L, 0L), List.of(7L, 1000L, 1L), row(0, 0, 9));
    ConfusionMatrix matrix = new ConfusionMatrix(List.of("<cat>", "dog", "cow"), counts);
    assertEquals(List.of(new Confusion(1, 0, 7), new Confusion(0, 1, 2)), matrix.strongest(2));
    ConfusionTable table = new ConfusionTable(matrix);
    assertEquals(
        "<p>Most often taken for another: dog for &lt;cat&gt; (7 of 1,008); &lt;cat&gt; for dog (2 of"
            + " 7); dog for cow (1 of 1,008).</p>\n",
        table.sentence());
    assertTrue(table.table().contains("<td class=\"wrong\">7</td>"), table.table());
    assertTrue(table.table().contains("<td class=\"right\">1,000</td>"), table.table());
    assertTrue(table.table().contains("<td>100.00 %</td>"), table.table());
  }

  private static List<Long> row(long... counts) {
    return Arrays.stream(counts).boxed().toList();
  }

  @Test
  void aMatrixWithoutAConfusionSaysSo() {
    ConfusionMatrix matrix =
        new ConfusionMatrix(List.of("a", "b"), List.of(List.of(3L, 0L), List.of(0L, 0L)));
    assertEquals(
        "<p>No sample was taken for one of another class.</p>\n",
        new ConfusionTable(matrix).sentence());
    assertFalse(new ConfusionTable(matrix).table().contains("NaN"));
  }

  @Test
  void transformedImagesHaveTheNamesOfTheirClasses() {
    Dataset images = ImageDataset.embedded(Split.TEST).transformed(Normalization.none());
    assertEquals("ankle boot", images.classes().get(9));
    assertEquals(10, images.classes().size());
  }
}
