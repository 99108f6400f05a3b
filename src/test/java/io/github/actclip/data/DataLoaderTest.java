package io.github.actclip.data;

import static io.github.actclip.data.TestData.assertBadInput;
import static io.github.actclip.data.TestData.decode;
import static io.github.actclip.data.TestData.grey;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.actclip.runtime.TensorScope;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DataLoaderTest {

  private final Device cpu = new Device("cpu");

  /** A device that every machine has: its tensors have all but values. */
  private final Device meta = new Device("meta");

  /** The labels of all batches, in order. */
  private static List<Integer> labels(Iterable<Batch> batches) {
    List<Integer> labels = new ArrayList<>();
    for (Batch batch : batches) {
      LongBuffer buffer = batch.target().createBuffer();
      while (buffer.hasRemaining()) {
        labels.add((int) buffer.get());
      }
    }
    return labels;
  }

  /** Images that can be told apart by their labels. */
  private static ImageDataset distinct(int count) {
    byte[] labels = new byte[count];
    for (int i = 0; i < count; i++) {
      labels[i] = (byte) i;
    }
    return new ImageDataset("nowhere", "test", PixelFormat.GREY_28, new byte[count * 784], labels);
  }

  @Test
  void aBatchThatCannotBeMadeLeavesNothing() {
    byte[] tooFew = new byte[784];
    ImageDataset broken =
        new ImageDataset("nowhere", "test", PixelFormat.GREY_28, tooFew, new byte[2]);
    DataLoader loader = DataLoader.sequential(broken, 2, cpu);
    long before = Pointer.totalCount();
    assertThrows(ArrayIndexOutOfBoundsException.class, () -> loader.iterator(0, 0).next());
    assertEquals(before, Pointer.totalCount());
  }

  @Test
  void aBatchIsChannelsLastFloatsAndLongs() {
    for (Batch batch : DataLoader.sequential(grey(10), 5, cpu)) {
      assertArrayEquals(new long[] {5, 3, 32, 32}, batch.data().shape());
      assertEquals(ScalarType.Float, batch.data().scalar_type().intern());
      assertEquals(3072, batch.data().stride(0));
      assertEquals(1, batch.data().stride(1));
      assertEquals(96, batch.data().stride(2));
      assertEquals(3, batch.data().stride(3));
      assertTrue(batch.data().is_contiguous(MemoryFormat.ChannelsLast));
      assertFalse(batch.data().requires_grad());
      assertArrayEquals(new long[] {5}, batch.target().shape());
      assertEquals(ScalarType.Long, batch.target().scalar_type().intern());
    }
  }

  @Test
  void aBatchHasTheImagesAndTheirLabels() {
    ImageDataset dataset = grey(7);
    int image = 0;
    for (Batch batch : DataLoader.sequential(dataset, 3, cpu).epoch(0)) {
      image += assertHasImagesFrom(dataset, image, batch);
    }
    assertEquals(7, image);
  }

  /** Returns how many images the batch has. */
  private static int assertHasImagesFrom(ImageDataset dataset, int first, Batch batch) {
    LongBuffer labels = batch.target().createBuffer();
    Tensor contiguous = batch.data().contiguous();
    FloatBuffer planes = contiguous.createBuffer();
    int count = labels.remaining();
    for (int i = 0; i < count; i++) {
      float[] expected = decode(dataset, first + i);
      assertEquals(dataset.label(first + i), labels.get(i));
      for (int channel = 0; channel < 3; channel++) {
        for (int pixel = 0; pixel < 1024; pixel++) {
          assertEquals(expected[pixel * 3 + channel], planes.get((i * 3 + channel) * 1024 + pixel));
        }
      }
    }
    contiguous.close();
    return count;
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "10,3,4", "9,3,3", "2,3,1", "10,2147483647,1"})
  void theLastBatchMayBeSmaller(int images, int batchSize, int batches) {
    DataLoader loader = DataLoader.sequential(grey(images), batchSize, cpu);
    assertEquals(batches, loader.batches());
    int seen = 0;
    int left = images;
    for (Batch batch : loader.epoch(0)) {
      assertEquals(Math.min(left, batchSize), batch.target().size(0));
      left -= batchSize;
      seen++;
    }
    assertEquals(batches, seen);
  }

  @Test
  void sequentialKeepsTheOrder() {
    DataLoader loader = DataLoader.sequential(distinct(5), 2, cpu);
    assertEquals(List.of(0, 1, 2, 3, 4), labels(loader.epoch(0)));
    assertEquals(List.of(0, 1, 2, 3, 4), labels(loader.epoch(9)));
  }

  @Test
  void shuffledDependsOnTheSeedAndTheEpoch() {
    ImageDataset dataset = distinct(100);
    DataLoader loader = DataLoader.shuffled(dataset, 7, 42, cpu);
    List<Integer> second = labels(loader.epoch(1));
    assertEquals(second, labels(loader.epoch(1)));
    assertEquals(second, labels(DataLoader.shuffled(dataset, 64, 42, cpu).epoch(1)));
    assertNotEquals(second, labels(loader.epoch(0)));
    assertNotEquals(second, labels(DataLoader.shuffled(dataset, 7, 43, cpu).epoch(1)));
    assertEquals(List.of(0, 1, 2, 3, 4), second.stream().sorted().limit(5).toList());
    assertEquals(100, second.stream().distinct().count());
  }

  @Test
  void eachIterationIsTheNextEpoch() {
    DataLoader loader = DataLoader.shuffled(distinct(50), 8, 3, cpu);
    assertEquals(labels(loader.epoch(0)), labels(loader));
    assertEquals(labels(loader.epoch(1)), labels(loader));
    assertEquals(labels(loader.epoch(2)), labels(loader));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 13, 14, 15})
  void anEpochCanBeginAtAnyBatch(int first) {
    DataLoader loader = DataLoader.shuffled(distinct(100), 7, 42, cpu);
    List<Integer> whole = labels(loader.epoch(3));
    assertEquals(
        whole.subList(Math.min(7 * first, 100), 100), labels(() -> loader.iterator(3, first)));
  }

  @Test
  void refusesABatchThatIsNotThere() {
    DataLoader loader = DataLoader.sequential(grey(3), 2, cpu);
    assertBadInput(() -> loader.iterator(0, 3), "first batch is 3", "has 2");
    assertBadInput(() -> loader.iterator(0, -1), "first batch is -1", "has 2");
  }

  /** Whatever batch an image is in, and whether the epoch began before it or with it. */
  @Test
  void whatAnImageIsChangedToDependsOnSeedAndEpochAndItsNumberOnly() {
    ImageDataset dataset = grey(9);
    Augmentation augmentation = new Augmentation(4, true);
    Normalization normalization = Normalization.of(dataset);
    Dataset changed = dataset.transformed(augmentation, normalization).ofEpoch(11, 2);
    DataLoader loader = DataLoader.sequential(changed, 4, cpu);
    int image = 4;
    Iterable<Batch> batches = () -> loader.iterator(2, 1);
    for (Batch batch : batches) {
      FloatBuffer pixels = batch.data().createBuffer();
      for (int i = 0; i < batch.target().size(0); i++) {
        float[] cropped =
            AugmentationTest.apply(
                augmentation, Seeds.ofSample(11, 2, image), decode(dataset, image));
        float[] expected = AugmentationTest.apply(normalization, 0, cropped);
        float[] seen = new float[PixelFormat.VALUES];
        pixels.get(seen);
        assertArrayEquals(expected, seen);
        image++;
      }
    }
    assertEquals(9, image);
  }

  @Test
  void aShuffledLoaderHasTheSamplesOfItsSeedAndEpoch() {
    ImageDataset dataset = distinct(5);
    List<String> epochs = new ArrayList<>();
    Dataset spy =
        new OneColumn(5) {
          @Override
          public Dataset ofEpoch(long seed, int epoch) {
            epochs.add(seed + "/" + epoch);
            return dataset;
          }
        };
    DataLoader loader = DataLoader.shuffled(spy, 2, 42, cpu);
    assertEquals(
        labels(DataLoader.shuffled(dataset, 2, 42, cpu).epoch(3)), labels(loader.epoch(3)));
    assertEquals(List.of("42/3"), epochs);
    assertSame(spy, loader.dataset());
    assertEquals(List.of(0, 10, 20, 30, 40), labels(DataLoader.sequential(spy, 2, cpu).epoch(3)));
    assertEquals(1, epochs.size());
  }

  @Test
  void shuffledImagesKeepTheirLabels() {
    ImageDataset dataset = grey(10); // in which labels are the numbers of the images
    for (Batch batch : DataLoader.shuffled(dataset, 1, 5, cpu).epoch(0)) {
      LongBuffer label = batch.target().createBuffer();
      assertHasImagesFrom(dataset, (int) label.get(0), batch);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "meta"})
  void aBatchIsClosedWhenTheNextOneComes(String device) {
    Iterator<Batch> batches =
        DataLoader.sequential(grey(4), 2, new Device(device)).epoch(0).iterator();
    Batch first = batches.next();
    assertTrue(batches.hasNext());
    assertFalse(first.data().isNull());
    Batch second = batches.next();
    assertTrue(first.data().isNull());
    assertTrue(first.target().isNull());
    assertFalse(second.data().isNull());
    assertFalse(batches.hasNext());
    assertTrue(second.data().isNull());
    assertTrue(second.target().isNull());
  }

  @Test
  void closingABatchOfOnesOwnDoesNoHarm() {
    for (Batch batch : DataLoader.sequential(grey(4), 2, cpu)) {
      batch.data().close();
      assertFalse(batch.target().isNull());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "meta"})
  void aScopeAroundTheLoopDoesNotKeepBatches(String device) {
    List<Batch> seen = new ArrayList<>();
    TensorScope scope = new TensorScope();
    for (Batch batch : DataLoader.sequential(grey(6), 2, new Device(device))) {
      seen.forEach(earlier -> assertTrue(earlier.data().isNull()));
      seen.add(batch);
    }
    assertTrue(seen.get(2).data().isNull());
    scope.close();
    assertEquals(3, seen.size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "meta"})
  void aScopeAroundNextDoesNotCloseTheBatch(String device) {
    Iterator<Batch> batches = DataLoader.sequential(grey(4), 2, new Device(device)).iterator();
    TensorScope scope = new TensorScope();
    Batch batch = batches.next();
    scope.close();
    assertArrayEquals(new long[] {2, 3, 32, 32}, batch.data().shape());
    assertArrayEquals(new long[] {2}, batch.target().shape());
  }

  @Test
  void aLoopCanBeLeftEarly() {
    ImageDataset dataset = grey(40);
    DataLoader loader = DataLoader.sequential(dataset, 8, cpu);
    for (int i = 0; i < 100; i++) {
      Batch batch = loader.epoch(i).iterator().next();
      assertEquals(8, assertHasImagesFrom(dataset, 0, batch));
    }
  }

  @Test
  void batchesGoToTheDevice() {
    Device device = new Device("meta");
    DataLoader loader = DataLoader.sequential(grey(4), 2, device);
    device.close();
    int batches = 0;
    for (Batch batch : loader) {
      assertEquals(DeviceType.Meta, batch.data().device().type().intern());
      assertEquals(DeviceType.Meta, batch.target().device().type().intern());
      assertArrayEquals(new long[] {2, 3, 32, 32}, batch.data().shape());
      assertTrue(batch.data().is_contiguous(MemoryFormat.ChannelsLast));
      assertEquals(ScalarType.Long, batch.target().scalar_type().intern());
      batches++;
    }
    assertEquals(2, batches);
  }

  @Test
  void twoThreadsCanUseTwoLoadersOrOne() throws Exception {
    ImageDataset dataset = grey(30);
    DataLoader one = DataLoader.sequential(dataset, 4, cpu);
    DataLoader other = DataLoader.sequential(dataset, 7, cpu);
    CyclicBarrier start = new CyclicBarrier(4);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      List<Callable<Integer>> tasks = new ArrayList<>();
      for (DataLoader loader : List.of(one, one, other, other)) {
        tasks.add(
            () -> {
              start.await();
              return goThrough(dataset, loader, 10);
            });
      }
      for (Future<Integer> images : threads.invokeAll(tasks)) {
        assertEquals(300, images.get());
      }
    } finally {
      threads.shutdown();
    }
  }

  private static int goThrough(ImageDataset dataset, DataLoader loader, int epochs) {
    int images = 0;
    for (int epoch = 0; epoch < epochs; epoch++) {
      int first = 0;
      for (Batch batch : loader) {
        first += assertHasImagesFrom(dataset, first, batch);
      }
      images += first;
    }
    return images;
  }

  @Test
  void knowsItsDataset() {
    ImageDataset dataset = grey(1);
    assertSame(dataset, DataLoader.sequential(dataset, 1, meta).dataset());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1})
  void refusesABatchSizeThatCannotBe(int batchSize) {
    String message = "The batch size is " + batchSize + "; it must be at least 1";
    assertBadInput(() -> DataLoader.sequential(grey(1), batchSize, cpu), message);
    assertBadInput(() -> DataLoader.shuffled(grey(1), batchSize, 0, cpu), message);
  }

  @Test
  void refusesANegativeEpoch() {
    assertBadInput(() -> DataLoader.sequential(grey(1), 1, cpu).epoch(-1), "epoch is -1");
  }
}
