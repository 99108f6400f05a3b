package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.floats;
import static io.github.actclip.data.TestData.longs;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Data sets of a user's own, and what transforms make of them. */
class DatasetTest {

  private static final Transform PLUS_ONE = (data, seeds) -> data.add(new Scalar(1.0));
  private static final Transform TWICE = (data, seeds) -> data.mul_(new Scalar(2.0));

  private record Shift(int by) implements Transform {
    @Override
    public Tensor apply(Tensor data, long[] seeds) {
      return data.add(new Scalar((double) by));
    }
  }

  /** Says nothing of itself. */
  private static final class Quiet implements Transform {
    @Override
    public Tensor apply(Tensor data, long[] seeds) {
      return data;
    }
  }

  private static float[] data(Dataset dataset, int... indices) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      return floats(dataset.batch(indices).data());
    }
  }

  @Test
  void transformsChangeTheDataInOrderAndLeaveTheTarget() {
    OneColumn samples = new OneColumn(9);
    Dataset changed = samples.transformed(PLUS_ONE, TWICE);
    assertArrayEquals(new float[] {8, 2, 18}, data(changed, 3, 0, 8));
    assertArrayEquals(
        new float[] {7, 1}, data(samples.transformed(TWICE).transformed(PLUS_ONE), 3, 0));
    assertArrayEquals(new float[] {3, 0}, data(samples, 3, 0));
    TensorScope.run(
        () -> assertArrayEquals(new long[] {30, 0}, longs(changed.batch(3, 0).target())));
    assertEquals("one column", changed.name());
    assertEquals("one column", changed.source());
    assertEquals(9, changed.size());
    assertEquals(9, changed.checksum());
  }

  /** Whatever batch a sample is in; and no two of the chain draw the same. */
  @Test
  void seedsAreOfSeedAndEpochAndNumberAndPlaceInTheChain() {
    List<Long> first = new ArrayList<>();
    List<Long> second = new ArrayList<>();
    Dataset changed =
        new OneColumn(9)
            .transformed((data, seeds) -> record(data, seeds, first))
            .transformed((data, seeds) -> record(data, seeds, second))
            .ofEpoch(11, 2);
    data(changed, 4, 7);
    data(changed, 7);
    assertEquals(List.of(Seeds.ofSample(11, 2, 4), Seeds.ofSample(11, 2, 7)), first.subList(0, 2));
    assertEquals(first.get(1), first.get(2));
    assertEquals(second.get(1), second.get(2));
    assertEquals(4, Stream.concat(first.stream(), second.stream()).distinct().count());
    data(changed.ofEpoch(11, 3), 4);
    assertEquals(Seeds.ofSample(11, 3, 4), first.get(3));
  }

  /** What it does to its seeds is nobody else's. */
  private static Tensor record(Tensor data, long[] seeds, List<Long> seen) {
    Arrays.stream(seeds).forEach(seen::add);
    Arrays.fill(seeds, 0);
    return data;
  }

  @Test
  void untilItIsOfAnEpochAllIsTheSameEachTime() {
    ImageDataset images = TestData.grey(6);
    Dataset flipped = images.transformed(new Augmentation(3, true));
    assertArrayEquals(data(flipped, 0, 1, 2, 3), data(flipped, 0, 1, 2, 3));
    assertArrayEquals(data(flipped.ofEpoch(0, 0), 5), data(flipped, 5));
    assertNotEquals(
        Arrays.toString(data(flipped, 0, 1, 2, 3)),
        Arrays.toString(data(flipped.ofEpoch(0, 1), 0, 1, 2, 3)));
    assertSame(images, images.ofEpoch(3, 4));
  }

  @Test
  void textsTellTransformsApartAndAreTheSameInEveryJvm() {
    assertEquals("Shift[by=3]", new Shift(3).text());
    assertEquals(
        "Augmentation[cropPadding=4, horizontalFlip=true]", new Augmentation(4, true).text());
    // As equals has it: of float32.
    Normalization normalization = new Normalization(List.of(0.1), List.of(0.20000000001));
    assertEquals("Normalization[mean=[0.1], std=[0.2]]", normalization.text());
    assertEquals(getClass().getName() + "$Quiet", new Quiet().text());
    assertEquals(getClass().getName() + "$$Lambda", PLUS_ONE.text());
    Dataset changed = new OneColumn(2).transformed(new Shift(1)).transformed(new Quiet());
    assertEquals(List.of("Shift[by=1]", getClass().getName() + "$Quiet"), changed.transforms());
    assertEquals(List.of(), new OneColumn(2).transforms());
  }

  /** Such as one that holds all its samples in a tensor, and gives parts of it. */
  @Test
  void aTransformInPlaceDoesNotChangeWhatADatasetKeeps() {
    try (TensorScope scope = new TensorScope()) {
      Tensor all = scope.keep(torch.arange(new Scalar(6)).to(ScalarType.Float).view(6, 1));
      Dataset views =
          new OneColumn(6) {
            @Override
            public Batch batch(int... indices) {
              return new Batch(
                  all.narrow(0, indices[0], indices.length), torch.ones(indices.length));
            }
          };
      assertArrayEquals(new float[] {4, 6}, data(views.transformed(TWICE), 2, 3));
      assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5}, floats(all));
      all.close();
    }
  }

  /** As an autoencoder has it: what goes in is to come out. */
  @Test
  void aTransformInPlaceDoesNotChangeATargetThatIsTheData() {
    for (UnaryOperator<Tensor> handle :
        List.<UnaryOperator<Tensor>>of(
            x -> x, Tensor::new, x -> x.view(-1, 1), x -> x.select(1, 0))) {
      Dataset same =
          new OneColumn(6) {
            @Override
            public Batch batch(int... indices) {
              Tensor x = super.batch(indices).data();
              return new Batch(x, handle.apply(x));
            }
          };
      for (Transform transform : List.of(TWICE, PLUS_ONE)) {
        TensorScope.run(
            () -> {
              Batch batch = same.transformed(transform).batch(2, 3);
              float[] data = transform == TWICE ? new float[] {4, 6} : new float[] {3, 4};
              assertArrayEquals(data, floats(batch.data()));
              assertArrayEquals(new float[] {2, 3}, floats(batch.target()));
            });
      }
      for (int factor : new int[] {1, 2}) {
        Dataset seen = factor == 1 ? same : same.transformed(TWICE);
        for (Batch batch : DataLoader.sequential(seen, 2, new Device("cpu"))) {
          TensorScope.run(
              () ->
                  assertArrayEquals(
                      floats(batch.data()), floats(batch.target().mul(new Scalar(factor)))));
        }
      }
    }
  }

  /** Neither of a data set that uses a scope nor of one that knows of none. */
  @Test
  void batchesLeaveNothing() {
    LibTorch.load();
    Dataset careless =
        new OneColumn(50) {
          @Override
          public Batch batch(int... indices) {
            return new Batch(
                torch.ones(indices.length, 2).add(new Scalar(1.0)), torch.ones(indices.length));
          }
        };
    Dataset keeping =
        new OneColumn(50) {
          @Override
          public Batch batch(int... indices) {
            try (TensorScope scope = new TensorScope()) {
              return new Batch(
                  scope.keep(torch.ones(indices.length, 2)),
                  scope.keep(torch.ones(indices.length)));
            }
          }
        };
    Device cpu = new Device("cpu");
    for (Dataset dataset : List.of(new OneColumn(50), careless, keeping)) {
      DataLoader loader = DataLoader.shuffled(dataset.transformed(PLUS_ONE, TWICE), 7, 1, cpu);
      loader.forEach(batch -> assertEquals(2, batch.data().dim()));
      long before = Pointer.totalCount();
      for (int epoch = 0; epoch < 20; epoch++) {
        loader.epoch(epoch).forEach(batch -> assertEquals(2, batch.data().dim()));
      }
      assertEquals(before, Pointer.totalCount());
    }
  }

  /** What a data set of one's own may give by mistake for two samples, and what is said of it. */
  static Stream<Arguments> mistakes() {
    LibTorch.load();
    Tensor closed = torch.ones(2);
    closed.close();
    return Stream.of(
        Arguments.of(null, List.of("one column gave null", "2 samples")),
        Arguments.of(
            new Batch(null, torch.ones(2)), List.of("data of a batch of one column", "no tensor")),
        Arguments.of(
            new Batch(torch.ones(2), new Tensor()),
            List.of("target of a batch of one column", "no tensor")),
        Arguments.of(
            new Batch(closed, torch.ones(2)),
            List.of("data of a batch of one column", "no tensor")),
        Arguments.of(
            new Batch(torch.ones(3, 1), torch.ones(2)),
            List.of("one column gave data of shape [3, 1] for 2 samples")),
        Arguments.of(
            new Batch(torch.ones(2, 1), torch.tensor(1f).squeeze()),
            List.of("one column gave target of shape [] for 2 samples")),
        Arguments.of(
            new Batch(torch.ones(2, 1).to_sparse(), torch.ones(2)),
            List.of("one column", "sparse")),
        Arguments.of(
            new Batch(torch.ones(2, 1).to(new Device("meta"), ScalarType.Float), torch.ones(2)),
            List.of("one column", "meta")));
  }

  @ParameterizedTest
  @MethodSource("mistakes")
  void aMistakeOfADatasetIsSaidWithItsName(Batch given, List<Object> parts) {
    Dataset mistaken =
        new OneColumn(4) {
          @Override
          public Batch batch(int... indices) {
            return given;
          }
        };
    Device cpu = new Device("cpu");
    assertBadInput(
        () -> DataLoader.sequential(mistaken, 2, cpu).iterator().next(), parts.toArray());
    assertBadInput(() -> mistaken.transformed(PLUS_ONE).batch(0, 1), parts.toArray());
  }

  @Test
  void aMistakeOfATransformIsSaidWithItsName() {
    Transform none = (data, seeds) -> null;
    Transform oneLess = (data, seeds) -> data.narrow(0, 1, 1);
    assertBadInput(
        () -> new OneColumn(4).transformed(none).batch(0, 1),
        "one column, after",
        "Lambda",
        "no tensor");
    assertBadInput(
        () -> new OneColumn(4).transformed(oneLess).batch(0, 1),
        "one column, after",
        "gave data of shape [1, 1] for 2 samples");
  }

  @Test
  void whatADatasetThrowsReachesTheLoop() {
    IllegalStateException thrown = new IllegalStateException("the disk is on fire");
    Dataset burning =
        new OneColumn(4) {
          @Override
          public Batch batch(int... indices) {
            throw thrown;
          }
        };
    BatchIterator batches = DataLoader.sequential(burning, 2, new Device("cpu")).iterator(0, 0);
    assertSame(thrown, assertThrows(IllegalStateException.class, batches::next));
  }

  @Test
  void aDatasetWithoutSamplesCannotBeLoaded() {
    Device cpu = new Device("cpu");
    assertBadInput(
        () -> DataLoader.sequential(new OneColumn(0), 2, cpu), "one column has 0 samples");
    assertBadInput(
        () -> DataLoader.shuffled(new OneColumn(-1), 2, 0, cpu), "one column has -1 samples");
  }

  @Test
  void aBatchIsMadeWithoutGradients() {
    Tensor weight = torch.ones(1).requires_grad_(true);
    Dataset dataset =
        new OneColumn(4) {
          @Override
          public Batch batch(int... indices) {
            return new Batch(torch.ones(indices.length).mul(weight), torch.ones(indices.length));
          }
        };
    DataLoader.sequential(dataset, 2, new Device("cpu"))
        .forEach(batch -> assertTrue(!batch.data().requires_grad()));
  }
}
