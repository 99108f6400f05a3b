package io.github.actclip.data;

import io.github.actclip.runtime.ActclipException;
import io.github.actclip.runtime.Devices;
import io.github.actclip.runtime.TensorScope;
import java.util.Arrays;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch.DeviceType;

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

  private final Dataset dataset;
  private final int size;
  private final int batchSize;
  private final IntFunction<int[]> orderOfEpoch;
  private final IntFunction<Dataset> samplesOfEpoch;
  private final DeviceType deviceType;
  private final byte deviceIndex;
  private final AtomicInteger nextEpoch = new AtomicInteger();

  private DataLoader(
      Dataset dataset,
      int batchSize,
      IntFunction<int[]> orderOfEpoch,
      IntFunction<Dataset> samplesOfEpoch,
      Device device) {
    if (batchSize < 1) {
      throw ActclipException.badInput("The batch size is %d; it must be at least 1", batchSize);
    }
    Devices.requireThere(device);
    this.dataset = dataset;
    this.size = dataset.size();
    if (size < 1) {
      throw ActclipException.badInput(
          "%s has %d samples; a data set has at least 1", dataset.name(), size);
    }
    this.batchSize = batchSize;
    this.orderOfEpoch = orderOfEpoch;
    this.samplesOfEpoch = samplesOfEpoch;
    // Not the native object, which the caller may close.
    this.deviceType = device.type().intern();
    this.deviceIndex = device.index();
  }

  /**
   * Goes through the samples in an order that is different in every epoch, and depends on the seed
   * and the number of the epoch only; as {@link Dataset#ofEpoch} of this seed has them.
   *
   * @param device where the batches will be; not kept
   * @throws ActclipException bad input, when the batch size is not positive, or this machine has no
   *     such device
   */
  public static DataLoader shuffled(Dataset dataset, int batchSize, long seed, Device device) {
    int size = dataset.size();
    return new DataLoader(
        dataset,
        batchSize,
        epoch -> Permutation.of(size, seed, epoch),
        epoch -> dataset.ofEpoch(seed, epoch),
        device);
  }

  /**
   * Goes through the samples in their own order, and as they are: the same in every epoch.
   *
   * @param device where the batches will be; not kept
   * @throws ActclipException bad input, when the batch size is not positive, or this machine has no
   *     such device
   */
  public static DataLoader sequential(Dataset dataset, int batchSize, Device device) {
    int size = dataset.size();
    return new DataLoader(
        dataset, batchSize, epoch -> IntStream.range(0, size).toArray(), epoch -> dataset, device);
  }

  /** The data set that the batches are made of. */
  public Dataset dataset() {
    return dataset;
  }

  /** How many batches an epoch has. The last of them may be smaller than the others. */
  public int batches() {
    return (int) (((long) size + batchSize - 1) / batchSize);
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
    Dataset samples = samplesOfEpoch.apply(epoch);
    return new BatchIterator(
        batches() - firstBatch,
        batch -> {
          int from = (firstBatch + batch) * batchSize;
          int count = Math.min(batchSize, order.length - from);
          return make(samples, Arrays.copyOfRange(order, from, from + count));
        },
        this::moveToDevice);
  }

  /** In a scope, so that nothing is left of what the data set made on the way. */
  private static Batch batch(Dataset samples, int[] indices) {
    return ActclipException.inOneSentence(
        () -> samples.name() + " gives no batch", () -> samples.batch(indices));
  }

  private static Batch make(Dataset samples, int[] indices) {
    try (TensorScope scope = new TensorScope()) {
      scope.noGrad();
      Batch batch = Batch.require(samples.name(), batch(samples, indices), indices.length);
      return new Batch(scope.keep(batch.data()), scope.keep(batch.target()));
    }
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
          scope.keep(batch.data().to(device, batch.data().scalar_type())),
          scope.keep(batch.target().to(device, batch.target().scalar_type())));
    } finally {
      batch.close();
    }
  }
}
