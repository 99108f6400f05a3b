package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.util.Iterator;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Makes the batches of a data set, epoch by epoch.
 *
 * <pre>{@code
 * DataLoader loader = DataLoader.shuffled(ImageDataset.embedded(Split.TRAIN), 64, 1, device);
 * for (Batch batch : loader.epoch(0)) {
 *   …
 * }
 * }</pre>
 *
 * <p>A batch is prepared on another thread while the one before it is in use. It belongs to its
 * iterator, and is valid until that is asked for the next one, or has said that there is none; its
 * tensors are closed then. Where a loop may be left early, take {@link #iterator(int, int)} and
 * close it; else the garbage collector frees what is left.
 *
 * <p>A loader can be used by several threads, each with iterators of its own. What goes wrong while
 * a batch is prepared is thrown by {@link Iterator#next()}.
 */
public final class DataLoader implements Iterable<Batch> {

  /** What a {@link FloatBuffer} over a tensor can hold. */
  private static final int MAX_BATCH_SIZE = Integer.MAX_VALUE / (PixelFormat.VALUES * Float.BYTES);

  private final ImageDataset dataset;
  private final int batchSize;
  private final IntFunction<int[]> orderOfEpoch;
  private final Augmentation augmentation;
  private final long augmentationSeed;
  private final Normalization normalization;
  private final DeviceType deviceType;
  private final byte deviceIndex;
  private final AtomicInteger nextEpoch = new AtomicInteger();

  private DataLoader(
      ImageDataset dataset, int batchSize, IntFunction<int[]> orderOfEpoch, Device device) {
    if (batchSize < 1 || batchSize > MAX_BATCH_SIZE) {
      throw ActclipException.badInput(
          "The batch size is %d; it can be 1 to %d", batchSize, MAX_BATCH_SIZE);
    }
    Devices.requireThere(device);
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.orderOfEpoch = orderOfEpoch;
    this.augmentation = Augmentation.none();
    this.augmentationSeed = 0;
    this.normalization = Normalization.none();
    // Not the native object, which the caller may close.
    this.deviceType = device.type().intern();
    this.deviceIndex = device.index();
  }

  /**
   * Goes through the images in an order that is different in every epoch, and depends on the seed
   * and the number of the epoch only.
   *
   * @param device where the batches will be; not kept
   * @throws ActclipException bad input, when the batch size is not positive, or too large, or this
   *     machine has no such device
   */
  public static DataLoader shuffled(ImageDataset dataset, int batchSize, long seed, Device device) {
    int size = dataset.size();
    return new DataLoader(dataset, batchSize, epoch -> Permutation.of(size, seed, epoch), device);
  }

  /**
   * Goes through the images in their own order.
   *
   * @param device where the batches will be; not kept
   * @throws ActclipException bad input, when the batch size is not positive, or too large, or this
   *     machine has no such device
   */
  public static DataLoader sequential(ImageDataset dataset, int batchSize, Device device) {
    int size = dataset.size();
    return new DataLoader(dataset, batchSize, epoch -> IntStream.range(0, size).toArray(), device);
  }

  private DataLoader(
      DataLoader other, Augmentation augmentation, long seed, Normalization normalization) {
    this.dataset = other.dataset;
    this.batchSize = other.batchSize;
    this.orderOfEpoch = other.orderOfEpoch;
    this.augmentation = augmentation;
    this.augmentationSeed = seed;
    this.normalization = normalization;
    this.deviceType = other.deviceType;
    this.deviceIndex = other.deviceIndex;
  }

  /**
   * A loader of the same batches, from epoch 0, whose images are changed by chance: for training.
   * The chance depends on the seed, the epoch and the number of the image only, not on the batch
   * that it is in.
   */
  public DataLoader augmented(Augmentation by, long seed) {
    return new DataLoader(this, Objects.requireNonNull(by, "by"), seed, normalization);
  }

  /** A loader of the same batches, from epoch 0, whose pixels are normalised. */
  public DataLoader normalized(Normalization by) {
    return new DataLoader(this, augmentation, augmentationSeed, Objects.requireNonNull(by, "by"));
  }

  /** The data set that the batches are made of. */
  public ImageDataset dataset() {
    return dataset;
  }

  /** How many batches an epoch has. The last of them may be smaller than the others. */
  public int batches() {
    return (int) (((long) dataset.size() + batchSize - 1) / batchSize);
  }

  /**
   * The batches of one epoch, every time that it is iterated over.
   *
   * @throws ActclipException bad input, when {@code epoch} is negative
   */
  public Iterable<Batch> epoch(int epoch) {
    requireEpoch(epoch);
    return () -> iterator(epoch, 0);
  }

  private static void requireEpoch(int epoch) {
    if (epoch < 0) {
      throw ActclipException.badInput("The epoch is %d; epochs count from 0", epoch);
    }
  }

  /**
   * The batches of one epoch from a given one on: the same as those of the whole epoch, without the
   * first ones.
   *
   * @param firstBatch how many are left out, at most all
   * @return for a loop that may be left early, to be closed
   * @throws ActclipException bad input, when an argument is out of range
   */
  public BatchIterator iterator(int epoch, int firstBatch) {
    requireEpoch(epoch);
    if (firstBatch < 0 || firstBatch > batches()) {
      throw ActclipException.badInput(
          "The first batch is %d; an epoch of this loader has %d", firstBatch, batches());
    }
    return batchesInOrder(epoch, firstBatch);
  }

  /** The batches of epoch 0 in the first call, of epoch 1 in the second, and so on. */
  @Override
  public BatchIterator iterator() {
    return iterator(nextEpoch.getAndIncrement(), 0);
  }

  private BatchIterator batchesInOrder(int epoch, int firstBatch) {
    int[] order = orderOfEpoch.apply(epoch);
    return new BatchIterator(
        batches() - firstBatch,
        batch -> {
          int from = (firstBatch + batch) * batchSize;
          return prepare(epoch, order, from, Math.min(batchSize, order.length - from));
        },
        this::moveToDevice);
  }

  /**
   * What malloc keeps of freed memory it keeps for the thread that asked for it. So the consumer
   * asks for a batch's, too, and not now one worker and now another.
   */
  private Supplier<Batch> prepare(int epoch, int[] order, int from, int count) {
    Batch batch = empty(count);
    return () -> {
      try {
        fill(batch, epoch, order, from);
        return batch;
      } catch (RuntimeException | Error e) {
        batch.close();
        throw e;
      }
    };
  }

  private static Batch empty(int count) {
    try (TensorScope scope = new TensorScope()) {
      long[] shape = {count, PixelFormat.SIDE, PixelFormat.SIDE, PixelFormat.CHANNELS};
      Tensor images = torch.empty(shape, new TensorOptions(ScalarType.Float), null);
      Tensor labels = torch.empty(new long[] {count}, new TensorOptions(ScalarType.Long), null);
      return new Batch(scope.keep(images.permute(0, 3, 1, 2)), scope.keep(labels));
    }
  }

  private void fill(Batch batch, int epoch, int[] order, int from) {
    TensorScope.run(
        () -> {
          FloatBuffer pixels = batch.images().permute(0, 2, 3, 1).createBuffer();
          LongBuffer labels = batch.labels().createBuffer();
          float[] image = new float[PixelFormat.VALUES];
          float[] changed = new float[PixelFormat.VALUES];
          for (int i = from; i < from + labels.capacity(); i++) {
            dataset.decode(order[i], image);
            augmentation.apply(Seeds.ofImage(augmentationSeed, epoch, order[i]), image, changed);
            normalization.apply(changed);
            pixels.put(changed);
            labels.put(dataset.label(order[i]));
          }
        });
  }

  /**
   * On the consumer's thread, so that the tensors are made on the stream they are used on; in a
   * scope of its own, so that none of the consumer's takes them.
   */
  private Batch moveToDevice(Batch batch) {
    if (deviceType == DeviceType.CPU) {
      return batch;
    }
    try (TensorScope scope = new TensorScope()) {
      Device device = new Device(deviceType, deviceIndex);
      return new Batch(
          scope.keep(batch.images().to(device, ScalarType.Float)),
          scope.keep(batch.labels().to(device, ScalarType.Long)));
    } finally {
      batch.close();
    }
  }
}
